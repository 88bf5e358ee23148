function showChart(figure) {
  "use strict";
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const area = figure.querySelector(".hela-chart-area");
  const cursor = figure.querySelector(".hela-cursor");
  const range = figure.querySelector(".hela-slice input");
  const output = figure.querySelector(".hela-slice output");
  const boxes = Array.from(figure.querySelectorAll(".hela-series input"));
  const cells = Array.from(figure.querySelectorAll(".hela-value"));
  const groups = Array.from(figure.querySelectorAll("svg g"));
  const span = data.last - data.first || 1;
  function nearest(series, slice) {
    let best = -1;
    series.slices.forEach(function (each, at) {
      if (best < 0 || Math.abs(each - slice) < Math.abs(series.slices[best] - slice)) best = at;
    });
    return best >= 0 && Math.abs(series.slices[best] - slice) <= data.reach ? best : -1;
  }
  function show() {
    const slice = Number(range.value), said = [];
    const x = 1000 * (slice - data.first) / span;
    cursor.setAttribute("d", "M" + x + " 0V1000");
    output.textContent = "slice " + slice;
    data.series.forEach(function (series, i) {
      const at = nearest(series, slice);
      cells[i].textContent = at < 0 ? "none" : series.values[at];
      if (at >= 0 && series.slices[at] !== slice) {
        const where = document.createElement("small");
        where.textContent = " at " + series.slices[at];
        cells[i].append(where);
      }
      if (boxes[i].checked && at >= 0) said.push(series.name + " " + cells[i].textContent);
    });
    range.setAttribute("aria-valuetext", output.textContent + ": " + said.join(", "));
  }
  function point(event) {
    const box = area.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    range.value = Math.round(data.first + part * span);
    show();
  }
  area.addEventListener("pointermove", point);
  area.addEventListener("pointerdown", point);
  range.addEventListener("input", show);
  boxes.forEach(function (box, i) {
    box.addEventListener("change", function () {
      groups[i].classList.toggle("hela-off", !box.checked);
      show();
    });
  });
  figure.querySelectorAll("[data-live]").forEach(function (part) { part.hidden = false; });
  show();
}
