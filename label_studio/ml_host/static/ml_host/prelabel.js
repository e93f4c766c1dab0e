// Shows in the Data Manager's header how far the pre-labeling of the project is, and refreshes the table at its end.
(() => {
  const WHILE_ACTIVE = 2000;
  const OTHERWISE = 15000;
  const ACTIONS = ['prelabel_tasks', 'retrieve_tasks_predictions'];

  const bar = document.createElement('a');
  bar.className = 'ml-prelabel-bar';
  bar.dataset.external = 'true';
  bar.title = 'Pre-labeling under way; open the ML backends page';
  bar.append(document.createElement('progress'), document.createElement('span'));
  const [meter, text] = bar.children;
  meter.max = 100;
  meter.setAttribute('aria-label', 'Progress of pre-labeling');

  let address = ''; // of the project's progress; empty outside the Data Manager
  let known = new Set(); // runs that were under way when last asked
  let timer = 0;
  let asked = 0;

  function here() {
    const found = location.pathname.match(/^(.*)\/projects\/(\d+)\/data(\/|$)/);
    return found && { progress: `${found[1]}/api/projects/${found[2]}/prelabel/`, page: `${found[1]}/projects/${found[2]}/ml-backends/` };
  }

  function attach() {
    const link = document.querySelector('[data-ml-menu="data"]'); // menu.js puts it there
    const links = known.size > 0 && link && link.parentElement;
    if (links && links.firstElementChild !== bar) links.prepend(bar);
    if (!links && bar.isConnected) bar.remove();
  }

  function draw(active) {
    const run = active[0];
    if (run) {
      const { done, skipped, failed, total, percent } = run.progress;
      const share = `${(done + skipped + failed).toLocaleString('en')}/${total.toLocaleString('en')}`;
      meter.value = percent;
      text.textContent = run.state === 'queued' ? `Pre-labeling waits · ${share}` : `Pre-labeling ${percent}% · ${share}`;
    }
    attach();
  }

  function toast(message) {
    if (window.dataManager) window.dataManager.invoke('toast', { message, type: 'info', duration: 6000 });
  }

  // New scores and counts; not under the hands of somebody who selects tasks or labels one.
  function refresh() {
    const store = window.dataManager && window.dataManager.store;
    const view = store && store.currentView;
    if (!view || store.isLabeling || view.selected.hasSelected) return false;
    view.reload();
    store.fetchProject({ force: true });
    return true;
  }

  function ended(run) {
    const { done, skipped, failed } = run.progress;
    const counts = [[done, 'done'], [skipped, 'skipped'], [failed, 'failed']].filter(([number, name]) => number || name === 'done');
    const said = counts.map(([number, name]) => `${number.toLocaleString('en')} ${name}`).join(', ');
    const hint = refresh() ? '' : ' Refresh the table to see the predictions.';
    toast(`Pre-labeling ${run.state}: ${said}.${run.error ? ` ${run.error}.` : ''}${hint}`);
  }

  function plan(wait) {
    clearTimeout(timer);
    timer = document.hidden || !address ? 0 : setTimeout(ask, wait);
  }

  async function ask() {
    clearTimeout(timer);
    const from = address;
    asked += 1;
    const number = asked;
    if (!from || document.hidden) return;
    try {
      const response = await fetch(from, { headers: { Accept: 'application/json' } });
      if (number !== asked) return; // another project, or a later question
      if (!response.ok) throw new Error(response.status);
      const { active, latest } = await response.json();
      if (number !== asked) return;
      const before = known;
      known = new Set(active.map((run) => run.id));
      draw(active);
      if (latest && before.has(latest.id) && !known.has(latest.id)) ended(latest);
      plan(active.length ? WHILE_ACTIVE : OTHERWISE);
    } catch (error) {
      plan(OTHERWISE); // the server is away or the person signed out
    }
  }

  const heard = new WeakSet();
  function listen() {
    const manager = window.dataManager;
    if (!manager || heard.has(manager)) return;
    heard.add(manager);
    manager.on('actionDialogOkComplete', (action, { result }) => {
      if (!ACTIONS.includes(action) || !result || !result.run) return;
      known.add(result.run); // a short run may be over before it is seen
      toast(`${result.detail}.`);
      ask();
    });
  }

  function update() {
    const place = here();
    const now = place ? place.progress : '';
    if (now !== address) {
      address = now;
      bar.href = place ? place.page : '';
      known = new Set();
      ask();
    }
    if (place) listen();
    attach();
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
  update();
})();
