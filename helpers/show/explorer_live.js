// Sliders of a running notebook say their values with units to a screen reader, "20 nm": ipywidgets
// gives it the number of the position, or nothing. The text is the one beside the slider.
(() => {
  if (window.helaSays) return;
  window.helaSays = true;
  const set = (element, name, value) => {
    if (value && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const say = () => {
    for (const slider of document.querySelectorAll(".hela-live .widget-slider")) {
      const handle = slider.querySelector(".noUi-handle, .ui-slider-handle");
      if (!handle) continue;
      set(handle, "role", "slider");
      set(handle, "aria-label", slider.querySelector(".widget-label")?.textContent.trim());
      set(handle, "aria-valuetext", slider.querySelector(".widget-readout")?.textContent.trim());
    }
  };
  const watched = { subtree: true, childList: true, characterData: true };
  const options = { ...watched, attributeFilter: ["aria-valuetext"] };
  new MutationObserver(say).observe(document.body, options);
  say();
})();
