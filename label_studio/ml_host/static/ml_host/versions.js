// Versions on the ML backends page: two of them are picked to be compared, menus close again, an upload shows how far it is.
(() => {
  const picks = (form) => [...document.querySelectorAll(`[data-pick][form="${form.id}"]`)].filter((box) => box.checked);

  function count(form) {
    if (form) form.querySelector('[data-compare]').disabled = picks(form).length !== 2;
  }

  // Of three the one that was picked first goes.
  let order = [];
  document.addEventListener('change', (event) => {
    const box = event.target;
    if (!box.matches('[data-pick]')) return;
    order = order.filter((other) => other !== box.id && document.getElementById(other)?.checked);
    if (box.checked) order.push(box.id);
    const others = order.filter((id) => document.getElementById(id)?.form === box.form);
    others.slice(0, -2).forEach((id) => { document.getElementById(id).checked = false; });
    count(box.form);
  });

  // What was picked stays picked when the table is replaced.
  let picked = [];
  document.addEventListener('htmx:beforeSwap', (event) => {
    picked = [...event.detail.target.querySelectorAll('[data-pick]:checked')].map((box) => box.id);
  });
  document.addEventListener('htmx:afterSwap', () => {
    picked.map((id) => document.getElementById(id)).filter((box) => box && !box.disabled).forEach((box) => { box.checked = true; });
    document.querySelectorAll('.ml-compare').forEach(count);
  });

  document.addEventListener('click', (event) => {
    document.querySelectorAll('.ml-pop[open]').forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    document.querySelectorAll('.ml-pop[open]').forEach((menu) => { menu.open = false; });
  });

  document.addEventListener('htmx:xhr:progress', (event) => {
    const bar = event.target.matches('.ml-upload') && event.target.querySelector('progress');
    if (!bar || !event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.value = (100 * event.detail.loaded) / event.detail.total;
  });
})();
