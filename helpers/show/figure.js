function startFigures(selector, show) {
  "use strict";
  // A bar of 1, 2 or 5, at most a quarter of the width; both in pixels, the scale to a micrometre.
  function drawScale(bar, width, scale) {
    const micrometres = 10 ** Math.floor(Math.log10(width / 4 / scale));
    const length = [5, 2, 1].find((n) => n * micrometres * scale <= width / 4) * micrometres;
    bar.style.width = length * scale + "px";
    bar.textContent = Number(length.toPrecision(1)) + " µm";
  }
  // A notebook may show the same figure twice, and each of the two runs this.
  document.querySelectorAll(selector).forEach((figure) => {
    figure.dataset.ready = "";
    // Or JupyterLab takes a slider's arrow keys for its own.
    figure.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey || event.altKey)) event.stopPropagation();
    });
    show(figure, drawScale);
  });
}
