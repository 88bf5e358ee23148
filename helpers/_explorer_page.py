"""An explorer on a static page: HTML that needs no kernel and no network."""

import hashlib
import html
import itertools
import json

from helpers._explorer_scene import Scene, data_uri

# Colours are the page's own (currentColor, the theme's variables), so that light and dark both
# work. "!important" undoes the theme's habit of giving HTML output in dark mode a white box and
# pictures a filter: grey values must be the same in both.
STYLE = """
.text_html:has(>.hela-explorer){background:none!important;color:inherit!important;
padding:0!important}
.hela-explorer{margin:1.25rem auto;padding:0;line-height:1.4}
.hela-explorer img{display:block;width:100%;max-width:100%;height:auto;margin:0;
border-radius:4px!important;filter:none!important;background:none!important;padding:0!important}
.hela-explorer [hidden]{display:none}
.hela-controls{display:grid;gap:.125rem;margin:.75rem 0 0;font-size:.9375rem}
.hela-control{display:grid;grid-template-columns:var(--label) 1fr var(--value);
column-gap:1rem;align-items:center;min-height:2rem}
.hela-control label{margin:0;white-space:nowrap}
.hela-control input{width:100%;min-width:0;height:2rem;margin:0;cursor:pointer;
accent-color:var(--pst-color-primary,#0072b2)}
.hela-control select{grid-column:2/-1;justify-self:start;max-width:100%;padding:.25rem .5rem;
font:inherit;color:inherit;background:transparent;border:1px solid currentColor;border-radius:4px}
.hela-control option{color:CanvasText;background:Canvas}
.hela-control :focus-visible{outline:2px solid var(--pst-color-primary,#0072b2);outline-offset:2px}
.hela-value{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.hela-readout{margin:.625rem 0 0;font-size:.9375rem;font-weight:600;min-height:1.4em;
font-variant-numeric:tabular-nums}
figure.hela-explorer figcaption{margin:.5rem 0 0!important;padding:0!important;width:auto;
font:inherit;font-size:.9375rem;color:inherit;text-align:left}
@media (max-width:30rem){.hela-control{grid-template-columns:1fr auto}
.hela-control input{grid-column:1/-1;grid-row:2;height:2.75rem}
.hela-control select{grid-column:2;min-height:2.75rem;margin:.125rem 0}}
"""

SCRIPT = """
function (figure) {
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
"""


def static_page(scene: Scene, name: str | None) -> str:
    """Make the explorer's HTML: every picture, the controls and the script that joins them.

    Parameters
    ----------
    scene : Scene
    name : str or None
        Ends the figure's id; a hash of the content if None.

    Returns
    -------
    str
        The same for the same content, so that a book built twice does not change.
    """
    states = itertools.product(*(range(len(s.values)) for s in scene.sliders.values()))
    frames = {state: scene.frame_or_stop(state) for state in states}
    stored = {}  # picture -> its number; equal pictures are stored once
    for frame in frames.values():
        stored.setdefault(frame.webp, len(stored))
    first = frames[scene.start]
    data = {
        "alt": scene.alt,
        "sliders": [{"label": s.label, "texts": s.texts} for s in scene.sliders.values()],
        "states": [[stored[frame.webp], frame.text] for frame in frames.values()],
        "first": stored[first.webp],
        # The first picture is in the page already, for readers without JavaScript.
        "frames": [None if webp == first.webp else data_uri(webp) for webp in stored],
    }
    # "<" inside the data could end the script element that holds it.
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    if name is None:
        content = payload.encode() + first.webp + scene.caption.encode()
        name = hashlib.sha256(content).hexdigest()[:12]
    figure_id = f"explorer-{name}"
    controls = "".join(
        _control(f"{figure_id}-{number}", slider)
        for number, slider in enumerate(scene.sliders.values(), start=1)
    )
    label_ch, value_ch = (
        max(len(text) for s in scene.sliders.values() for text in texts(s))
        for texts in (lambda s: (s.label,), lambda s: () if s.is_choice else s.texts)
    )
    # The page's choice of class colours finds its pictures by this name.
    classes = " hela-classes" if any(frame.shows_classes for frame in frames.values()) else ""
    readout = ""
    if any(frame.text for frame in frames.values()):
        text = html.escape(first.text)
        readout = f'<p class="hela-readout" role="status">{text}</p>'
    return (
        f'<figure class="hela-explorer" id="{figure_id}" style="max-width:{first.width_px}px;'
        f'--label:{label_ch}ch;--value:{value_ch}ch">\n<style>{STYLE}</style>\n'
        f'<img class="dark-light{classes}" src="{data_uri(first.webp)}" width="{first.width_px}" '
        f'height="{first.height_px}" alt="{html.escape(scene.alt_at(scene.start))}">\n'
        f'<div class="hela-controls" hidden>{controls}</div>\n'
        f"<noscript><p>Shown at {html.escape(scene.values_at(scene.start))}.</p></noscript>\n"
        f"{readout}<figcaption>{html.escape(scene.caption)}</figcaption>\n"
        f'<script type="application/json">{payload}</script>\n'
        f'<script>({SCRIPT})(document.getElementById("{figure_id}"));</script>\n</figure>'
    )


def _control(control_id: str, slider) -> str:
    start = slider.values.index(slider.start)
    label = f'<label for="{control_id}">{html.escape(slider.label)}</label>'
    if slider.is_choice:
        options = "".join(
            f'<option value="{at}"{" selected" if at == start else ""}>{html.escape(text)}</option>'
            for at, text in enumerate(slider.texts)
        )
        control = f'<select id="{control_id}" autocomplete="off">{options}</select>'
    else:
        text = html.escape(slider.texts[start])
        control = (
            f'<input type="range" id="{control_id}" min="0" max="{len(slider.values) - 1}" '
            f'step="1" value="{start}" aria-valuetext="{text}" autocomplete="off">'
            f'<span class="hela-value" aria-hidden="true">{text}</span>'
        )
    return f'<div class="hela-control">{label}{control}</div>'
