function startFigures(selector, show) {
  "use strict";
  // A notebook may show the same figure twice, and each of the two runs this.
  document.querySelectorAll(selector).forEach((figure) => {
    figure.dataset.ready = "";
    // Or JupyterLab takes a slider's arrow keys for its own.
    figure.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey || event.altKey)) event.stopPropagation();
    });
    show(figure);
  });
}
