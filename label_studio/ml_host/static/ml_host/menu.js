// Adds "ML backends" to the project's settings menu and to the Data Manager's header, which React draws.
(() => {
  const LABEL = 'ML backends';

  function project() {
    const found = location.pathname.match(/^(.*)\/projects\/(\d+)\/(settings|data|ml-backends)/);
    return found && { url: `${found[1]}/projects/${found[2]}/ml-backends/`, room: found[3] };
  }

  function copyOf(link, url, name) {
    const item = link.closest('li') || link;
    const copy = item.cloneNode(true);
    const anchor = copy.matches('a') ? copy : copy.querySelector('a');
    anchor.href = url;
    anchor.textContent = LABEL;
    anchor.classList.forEach((part) => { if (/active/.test(part)) anchor.classList.remove(part); });
    anchor.removeAttribute('aria-current');
    anchor.dataset.external = 'true';
    anchor.dataset.mlMenu = name;
    item.after(copy);
  }

  function place(name, selector, url) {
    const there = document.querySelector(`[data-ml-menu="${name}"]`);
    if (there) {
      if (there.getAttribute('href') !== url) there.setAttribute('href', url);
      return;
    }
    const links = document.querySelectorAll(selector);
    if (links.length) copyOf(links[0], url, name);
  }

  function update() {
    const here = project();
    if (!here) return;
    if (here.room === 'settings') place('settings', 'a[href$="/settings/ml"]', here.url);
    if (here.room === 'data') place('data', 'a[href$="/settings"]', here.url);
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }).observe(document.documentElement, { childList: true, subtree: true });
  update();
})();
