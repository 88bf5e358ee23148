function showExplorer(figure) {
  "use strict";
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const picture = figure.querySelector("img");
  const readout = figure.querySelector(".hela-readout");
  const controls = Array.from(figure.querySelectorAll("input, select"));
  data.frames[data.first] = picture.src;
  function show() {
    let state = 0;
    const values = data.sliders.map(function (slider, i) {
      const position = Number(controls[i].value), text = slider.texts[position];
      state = state * slider.texts.length + position;
      if (controls[i].type === "range") {
        controls[i].setAttribute("aria-valuetext", text);
        controls[i].nextElementSibling.textContent = text;
      }
      return slider.label + " " + text;
    });
    picture.src = data.frames[data.states[state][0]];
    picture.alt = data.alt + " (" + values.join(", ") + ")";
    if (readout) readout.textContent = data.states[state][1];
  }
  controls.forEach(function (control) { control.addEventListener("input", show); });
  figure.querySelector(".hela-controls").hidden = false;
  show();
}
