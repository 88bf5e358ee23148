"""The HTML of a chart whose values can be read at the cursor, with no kernel and no network."""

# The drawing is stretched to the width it gets; strokes and text are not. Text colours are the
# page's own, so that light and dark both work; "!important" undoes the theme's white box.
STYLE = """
.text_html:has(>.hela-chart){background:none!important;color:inherit!important;padding:0!important}
.hela-chart{margin:1.25rem auto;padding:0;line-height:1.4;font-size:.875rem;max-width:56rem}
.hela-chart [hidden]{display:none}
.hela-chart-title{margin:0 0 .375rem;font-weight:600}
.hela-chart-area{position:relative;height:21rem;margin:0 .75rem 2.875rem 2.75rem;
touch-action:pan-y;cursor:crosshair}
.hela-chart svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible;
background:none!important}
.hela-chart svg.hela-cut{clip-path:inset(0 -.5rem)}
.hela-chart g,.hela-series label{--colour:var(--light)}
html[data-theme="dark"] :is(.hela-chart g,.hela-series label){--colour:var(--dark)}
.hela-chart path{fill:none;vector-effect:non-scaling-stroke;stroke:var(--colour)}
.hela-chart path.hela-grid{stroke:currentColor;stroke-width:1;opacity:.18}
.hela-chart path.hela-cursor{stroke:currentColor;stroke-width:1;opacity:.7}
.hela-chart .hela-line{stroke-width:1.5;stroke-linejoin:round}
.hela-chart .hela-own .hela-line{stroke-width:2.5}
.hela-chart .hela-dot{stroke-width:8;stroke-linecap:round}
.hela-chart .hela-second .hela-line{stroke-dasharray:8 4}
.hela-chart .hela-second .hela-dot{stroke-linecap:square;stroke-width:7}
.hela-chart .hela-third .hela-line{stroke-dasharray:2 3}
.hela-chart .hela-third .hela-dot{stroke-width:9}
.hela-chart path.hela-hole{stroke-width:4;stroke-linecap:round;
stroke:var(--pst-color-background,var(--jp-layout-color1,#fff))}
.hela-chart .hela-off{display:none}
.hela-tick{position:absolute;white-space:nowrap;font-variant-numeric:tabular-nums;opacity:.85}
.hela-tick-y{right:100%;margin-right:.375rem;transform:translateY(-50%)}
.hela-tick-x{top:100%;margin-top:.25rem;transform:translateX(-50%)}
.hela-axis-x{position:absolute;top:100%;left:0;right:0;margin-top:1.5rem;text-align:center}
.hela-slice{display:grid;grid-template-columns:auto 1fr;column-gap:1rem;align-items:center;
min-height:2.75rem;margin:0}
.hela-slice input{width:100%;min-width:0;margin:0;height:2.75rem;cursor:pointer;
accent-color:var(--pst-color-primary,#0072b2)}
.hela-slice output{font-weight:600;font-variant-numeric:tabular-nums}
.hela-series{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,18rem),1fr));
column-gap:2rem;margin:0;padding:0;list-style:none}
.hela-series li{margin:0;padding:0}
.hela-series label{display:grid;grid-template-columns:auto 1.75rem 1fr auto;column-gap:.5rem;
align-items:center;min-height:2rem;margin:0;cursor:pointer}
.hela-series input{margin:0;width:1rem;height:1rem;accent-color:var(--pst-color-primary,#0072b2)}
.hela-key{height:0;border-top:2px solid var(--colour)}
.hela-own .hela-key{border-top-width:4px;border-radius:2px}
.hela-points .hela-key{width:.625rem;height:.625rem;border:0;border-radius:50%;
background:var(--colour);justify-self:center}
.hela-second .hela-key{border-top-style:dashed;border-radius:0}
.hela-third .hela-key{border-top-style:dotted}
.hela-points.hela-third .hela-key{border:3px solid var(--colour);background:none}
.hela-value{white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums}
.hela-value small{font-weight:400}
.hela-chart :focus-visible{outline:2px solid var(--pst-color-primary,#0072b2);outline-offset:2px}
figure.hela-chart figcaption{margin:.5rem 0 0!important;padding:0!important;width:auto;font:inherit;
font-size:.9375rem;color:inherit;text-align:left}
@media (max-width:30rem){.hela-chart-area{height:16rem}.hela-series label{min-height:2.75rem}
.hela-tick-minor{display:none}}
"""

SCRIPT = """
function (figure) {
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
"""
