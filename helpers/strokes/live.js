// Draws strokes on a slice with mouse, pen or finger, and sends each finished one to the kernel.
// Keys: 1 to 4 choose the class; with the area in focus, arrows move a cross, and Space begins and
// ends a stroke there.
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

function render({ model, el }) {
  const [height, width] = model.get("shape");
  const classes = model.get("classes");
  const name = `hela-class-${Math.random().toString(36).slice(2)}`;
  let chosen = classes[0].label;
  let line = null;
  let cross = null;

  const palette = make("fieldset", {}, make("legend", { textContent: "Draw" }));
  for (const each of classes) {
    const input = make("input", { type: "radio", name, checked: each.label === chosen });
    const spot = make("span", { className: "hela-draw-colour" });
    spot.style.background = each.colour;
    input.addEventListener("change", () => { chosen = each.label; });
    palette.append(make("label", {}, input, spot, each.name));
  }
  const list = make("select");
  for (const number of model.get("numbers")) {
    list.append(make("option", { value: number, textContent: number }));
  }
  const undo = make("button", { type: "button", textContent: "Undo" });
  const clear = make("button", { type: "button", textContent: "Clear this slice" });
  const show = make("input", { type: "checkbox", checked: true });
  const row = make(
    "div",
    { className: "hela-draw-row" },
    make("label", {}, "Slice ", list),
    undo,
    clear,
    make("label", {}, show, "show the answer"),
  );
  const image = make("img");
  const canvas = make("canvas", { width, height, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute(
    "aria-label",
    "Slice to draw on. Arrow keys move a cross, Space begins and ends a stroke.",
  );
  const area = make("div", { className: "hela-draw-area" }, image, canvas);
  const says = make("output");
  el.classList.add("hela-draw");
  el.append(palette, row, area, says);
  const pen = canvas.getContext("2d");
  const thick = Math.max(2, Math.max(width, height) / 150);

  const colourOf = (label) => classes.find((each) => each.label === label).colour;
  const trace = (label, points) => {
    pen.strokeStyle = pen.fillStyle = colourOf(label);
    pen.lineWidth = thick;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    points.forEach(([y, x], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (points.length === 1) pen.lineTo(points[0][1] + 0.1, points[0][0]);
    pen.stroke();
  };
  const redraw = () => {
    pen.clearRect(0, 0, width, height);
    for (const [number, label, points] of model.get("strokes")) {
      if (number === model.get("number")) trace(label, points);
    }
    if (line) trace(chosen, line);
    if (cross) {
      pen.strokeStyle = "#ffffff";
      pen.lineWidth = thick / 2;
      pen.beginPath();
      const arm = 4 * thick;
      pen.moveTo(cross[1] - arm, cross[0]);
      pen.lineTo(cross[1] + arm, cross[0]);
      pen.moveTo(cross[1], cross[0] - arm);
      pen.lineTo(cross[1], cross[0] + arm);
      pen.stroke();
    }
  };
  const send = (strokes) => {
    model.set("strokes", strokes);
    model.save_changes();
    redraw();
  };
  const finish = () => {
    if (!line) return;
    const done = [model.get("number"), chosen, line];
    line = null;
    says.textContent = "Learning …";
    send([...model.get("strokes"), done]);
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
    return [
      inside(((event.clientY - box.top) / box.height) * height, height),
      inside(((event.clientX - box.left) / box.width) * width, width),
    ];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    cross = null;
    line = [place(event)];
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!line || cross) return;
    const points = event.getCoalescedEvents?.() ?? [];
    line.push(...(points.length ? points : [event]).map(place));
    redraw();
  });
  canvas.addEventListener("pointerup", () => { if (!cross) finish(); });
  canvas.addEventListener("pointercancel", () => { line = null; redraw(); });
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max(width, height) / 50;
    const moves = {
      ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step],
    };
    const digit = Number(event.key);
    if (event.key in moves) {
      cross ??= [height / 2, width / 2];
      cross = [
        Math.min(height - 1, Math.max(0, cross[0] + moves[event.key][0])),
        Math.min(width - 1, Math.max(0, cross[1] + moves[event.key][1])),
      ];
      if (line) line.push(cross);
    } else if (event.key === " ") {
      cross ??= [height / 2, width / 2];
      if (line) finish();
      else line = [cross];
    } else if (digit >= 1 && digit <= classes.length) {
      palette.querySelectorAll("input")[digit - 1].click();
      canvas.focus();
    } else if (event.key === "Escape" && line) {
      line = null;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has commands on these keys
    redraw();
  });
  canvas.addEventListener("blur", () => { cross = null; redraw(); });
  list.addEventListener("change", () => {
    model.set("number", Number(list.value));
    model.save_changes();
  });
  undo.addEventListener("click", () => send(model.get("strokes").slice(0, -1)));
  clear.addEventListener("click", () => {
    send(model.get("strokes").filter(([number]) => number !== model.get("number")));
  });
  const look = () => {
    const answer = show.checked && model.get("answer");
    image.src = answer || model.get("picture");
    image.alt = `Slice ${model.get("number")}${answer ? ", tinted by class as the forest labels it" : ""}`;
    says.textContent = model.get("says");
    list.value = model.get("number");
    redraw();
  };
  show.addEventListener("change", look);
  model.on("change:picture change:answer change:says change:number change:strokes", look);
  look();
}

export default { render };
