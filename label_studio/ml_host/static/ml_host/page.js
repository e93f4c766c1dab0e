// The page stands in a template that the React shell copies into the document: htmx has to be told when it is there.
(() => {
  const ready = new WeakSet();

  function follow(root) {
    root.querySelectorAll('pre[data-follow]').forEach((log) => { log.scrollTop = log.scrollHeight; });
  }

  // A browser does not run scripts that were copied; those of plugins' panels are put in anew. htmx runs the later ones.
  function runScripts(root) {
    root.querySelectorAll('.ml-panel script').forEach((copied) => {
      const script = document.createElement('script');
      [...copied.attributes].forEach((item) => script.setAttribute(item.name, item.value));
      script.nonce = copied.nonce;
      script.textContent = copied.textContent;
      copied.replaceWith(script);
    });
  }

  function start() {
    const page = document.querySelector('.ml-page');
    if (!page || !window.htmx || ready.has(page)) return;
    ready.add(page);
    window.htmx.process(page);
    // The shell may put another copy in its place while an answer is under way, which would then be shown nowhere.
    page.addEventListener('htmx:beforeSwap', (event) => {
      if (!page.isConnected && event.detail.requestConfig.verb !== 'get') location.reload();
    });
    runScripts(page);
    follow(page);
  }

  new MutationObserver(start).observe(document.documentElement, { childList: true, subtree: true });
  start();

  // A refresh must not take away a button under the pointer, or text that is being selected; the next one comes soon.
  let pressed = false;
  document.addEventListener('pointerdown', () => { pressed = true; });
  ['pointerup', 'pointercancel'].forEach((kind) => document.addEventListener(kind, () => setTimeout(() => { pressed = false; })));
  function inUse(target) {
    const selection = document.getSelection();
    const selecting = selection && !selection.isCollapsed && target.contains(selection.anchorNode);
    const typing = document.activeElement && document.activeElement.matches('input:not([type=checkbox]), select, textarea')
      && target.contains(document.activeElement);
    // A menu that is open, a version that is chosen to be uploaded or on its way.
    return pressed || selecting || typing || target.querySelector('.ml-pop[open], form.htmx-request');
  }

  // What is closed is not asked for again and again.
  document.addEventListener('htmx:beforeRequest', (event) => {
    if (event.detail.requestConfig.verb === 'get' && event.target.closest('details:not([open])')) event.preventDefault();
  });

  // What the person opened stays open when a part is replaced.
  let opened = new Map();
  document.addEventListener('htmx:beforeSwap', (event) => {
    const target = event.detail.target;
    if (event.detail.requestConfig.verb === 'get' && inUse(target)) {
      event.detail.shouldSwap = false;
      return;
    }
    opened = new Map([...target.querySelectorAll('details[id]')].map((item) => [item.id, item.open]));
  });
  document.addEventListener('htmx:afterSwap', () => {
    opened.forEach((open, id) => {
      const item = document.getElementById(id);
      if (item) item.open = open;
    });
    const page = document.querySelector('.ml-page');
    if (page) follow(page);
  });

  function trouble(text) {
    const box = document.getElementById('ml-connection');
    if (box) { box.hidden = !text; box.textContent = text; }
  }
  document.addEventListener('htmx:sendError', () => trouble('The server does not answer. The page tries again.'));
  document.addEventListener('htmx:responseError', (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 507) { trouble(responseText); return; }
    trouble(status === 403 ? 'You are signed out or may not do this. Reload the page.' : `The server answered ${status}. Its log says why.`);
  });
  document.addEventListener('htmx:afterOnLoad', () => trouble(''));
})();
