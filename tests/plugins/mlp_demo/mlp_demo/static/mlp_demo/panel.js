// Says that a script of the plugin ran on the page.
document.querySelectorAll('.mlp-demo-panel').forEach((panel) => { panel.dataset.script = 'ran'; });
