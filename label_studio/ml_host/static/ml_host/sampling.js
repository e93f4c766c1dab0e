// The form of active learning: of all strategies the parameters of the chosen one are shown.
document.addEventListener('change', (event) => {
  const box = event.target;
  if (!box.matches('select[data-shows]')) return;
  [...box.options].forEach((option) => {
    const part = document.getElementById(`${box.dataset.shows}-${option.value}`);
    if (part) part.hidden = option.value !== box.value;
  });
});
