function showPyramid(figure, drawScale) {
  "use strict";
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const view = figure.querySelector(".hela-view"), start = view.querySelector("img");
  const svg = view.querySelector("svg"), scaleBar = view.querySelector(".hela-scale");
  const cells = Array.from(svg.querySelectorAll(".hela-cell"));
  const items = Array.from(figure.querySelectorAll(".hela-cells li"));
  const said = figure.querySelector(".hela-chosen");
  const [inButton, outButton, wholeButton, outlinesButton] = figure.querySelectorAll(".hela-tools button");
  const [width, height] = data.size, last = data.levels.length;
  const tiles = new Map();  // key -> img in the page
  // The picture's point in the middle of the view, and the zoom beside the whole picture's.
  const at = { x: width / 2, y: height / 2, zoom: 1 };
  let queued = 0;

  const between = (low, value, high) => Math.min(Math.max(low, value), high);
  const fit = () => Math.min(view.clientWidth / width, view.clientHeight / height);
  const most = () => Math.max(4, 4 / fit());
  const isWhole = () => at.zoom < 1.001;

  function draw() {
    queued = 0;
    const across = view.clientWidth, down = view.clientHeight;
    if (!across || !down) return;
    at.zoom = between(1, at.zoom, most());
    const scale = at.zoom * fit(), halfX = across / 2 / scale, halfY = down / 2 / scale;
    at.x = 2 * halfX >= width ? width / 2 : between(halfX, at.x, width - halfX);
    at.y = 2 * halfY >= height ? height / 2 : between(halfY, at.y, height - halfY);
    const left = at.x - halfX, top = at.y - halfY;

    function place(image, level, x, y, columns, rows) {
      const size = 2 ** level, edge = (n, origin) => Math.round((n * size - origin) * scale);
      const x0 = edge(x, left), y0 = edge(y, top);
      image.style.left = x0 + "px";
      image.style.top = y0 + "px";
      image.style.width = edge(x + columns, left) - x0 + "px";
      image.style.height = edge(y + rows, top) - y0 + "px";
    }
    place(start, last, 0, 0, ...data.last);

    // The coarsest level whose pixels are about as small as the screen's.
    const level = between(0, Math.floor(0.25 - Math.log2(scale * devicePixelRatio)), last);
    const wanted = new Set();
    if (level < last) {
      const side = data.tile * 2 ** level, rows = data.levels[level];
      const toRow = Math.min(rows.length, Math.ceil((top + 2 * halfY) / side));
      const toColumn = Math.min(rows[0].length, Math.ceil((left + 2 * halfX) / side));
      for (let row = Math.max(0, Math.floor(top / side)); row < toRow; row++) {
        for (let column = Math.max(0, Math.floor(left / side)); column < toColumn; column++) {
          wanted.add([level, row, column].join(" "));
        }
      }
    }
    for (const key of wanted) if (!tiles.has(key)) tiles.set(key, add(key));
    // What was there stays until what replaces it can be seen.
    const ready = Array.from(wanted).every((key) => tiles.get(key).complete);
    for (const [key, tile] of tiles) {
      if (ready && !wanted.has(key)) {
        tile.remove();
        tiles.delete(key);
        continue;
      }
      const [of, row, column] = key.split(" ").map(Number);
      const size = (n) => Math.ceil(n / 2 ** of);
      place(tile, of, column * data.tile, row * data.tile,
        Math.min(data.tile, size(width) - column * data.tile),
        Math.min(data.tile, size(height) - row * data.tile));
    }
    svg.setAttribute("viewBox", [left, top, 2 * halfX, 2 * halfY].join(" "));
    svg.style.fontSize = 13 / scale + "px";
    drawScale(scaleBar, across, scale / data.pixel_um);
    view.classList.toggle("hela-zoomed", !isWhole());
  }
  function add(key) {
    const [level, row, column] = key.split(" ").map(Number), tile = new Image();
    tile.className = start.className;
    tile.alt = "";
    tile.dataset.level = level;
    tile.draggable = false;
    tile.onload = tile.onerror = request;
    tile.src = data.levels[level][row][column];
    view.insertBefore(tile, svg);
    return tile;
  }
  function request() { queued = queued || requestAnimationFrame(draw); }

  function pan(dx, dy) {
    const scale = at.zoom * fit();
    at.x += dx / scale;
    at.y += dy / scale;
    request();
  }
  // The picture's point at (x, y) of the view stays there.
  function zoom(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const dx = x - view.clientWidth / 2, dy = y - view.clientHeight / 2;
    pan(dx, dy);
    at.zoom = between(1, at.zoom * factor, most());
    pan(-dx, -dy);
  }
  function goTo(cell) {
    const box = cell.getBBox();
    const room = Math.min(view.clientWidth / box.width, view.clientHeight / box.height);
    Object.assign(at, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
    at.zoom = between(1, 0.7 * room / fit(), most());
    request();
  }

  // A copy above its neighbours: to move the cell itself would take its focus and its turn.
  function onTop(cell) {
    const top = cell.cloneNode(true);
    for (const name of ["role", "tabindex", "aria-label"]) top.removeAttribute(name);
    top.setAttribute("aria-hidden", "true");
    top.classList.add("hela-top");
    return top;
  }
  function choose(number) {
    cells.forEach((cell, i) => cell.setAttribute("aria-pressed", i === number));
    svg.querySelectorAll(".hela-top").forEach((top) => top.remove());
    if (!said) return;
    if (number < 0) said.textContent = "No cell is chosen.";
    else {
      svg.append(onTop(cells[number]));
      const name = document.createElement("strong");
      name.textContent = cells[number].dataset.name;
      const lines = Array.from(items[number].querySelectorAll("span"));
      said.replaceChildren(name, ...lines.map((line) => line.cloneNode(true)));
    }
  }

  const fingers = new Map();
  let moved = false;
  view.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) moved = false;
    fingers.set(event.pointerId, event);
  });
  view.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (!event.buttons) {
      fingers.delete(event.pointerId);
      return;
    }
    const dx = before.clientX - event.clientX, dy = before.clientY - event.clientY;
    if (!moved && fingers.size === 1 && Math.hypot(dx, dy) < 5) return;  // still a click
    moved = true;
    view.setPointerCapture(event.pointerId);
    const other = Array.from(fingers.values()).find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const box = view.getBoundingClientRect();
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom(apart(event) / Math.max(1, apart(before)), (event.clientX + other.clientX) / 2 - box.x,
        (event.clientY + other.clientY) / 2 - box.y);
      pan(dx / 2, dy / 2);
    } else pan(dx, dy);
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    view.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  view.addEventListener("click", (event) => {
    if (!moved) choose(cells.indexOf(event.target.closest(".hela-cell")));
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // without it the wheel scrolls the page, as everywhere
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.01), event.clientX - box.x, event.clientY - box.y);
  }, { passive: false });

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const zooms = { "+": 1.25, "=": 1.25, "-": 0.8, "0": 0, Home: 0 };
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = event.target.closest(".hela-cell");
    if (event.key in arrows && !isWhole()) {
      const [x, y] = arrows[event.key];
      pan(x * view.clientWidth / 10, y * view.clientHeight / 10);
    } else if (event.key in zooms) zoom(zooms[event.key]);
    else if (event.key === "Escape") choose(-1);
    else if (cell && (event.key === "Enter" || event.key === " ")) {
      choose(cells.indexOf(cell));
      goTo(cell);
    } else return;
    event.preventDefault();
  });
  inButton.addEventListener("click", () => zoom(1.5));
  outButton.addEventListener("click", () => zoom(1 / 1.5));
  wholeButton.addEventListener("click", () => zoom(0));
  if (outlinesButton) outlinesButton.addEventListener("click", () => {
    const shown = outlinesButton.getAttribute("aria-pressed") !== "true";
    outlinesButton.setAttribute("aria-pressed", shown);
    svg.style.visibility = shown ? "" : "hidden";
  });

  cells.forEach((cell, number) => {
    const item = items[number], name = item.querySelector("strong");
    const button = document.createElement("button");
    cell.dataset.name = button.textContent = name.textContent;
    const lines = Array.from(item.querySelectorAll("span"), (line) => line.textContent);
    cell.setAttribute("role", "button");
    cell.setAttribute("tabindex", "0");
    cell.setAttribute("aria-label", [name.textContent, ...lines].join(", "));
    cell.addEventListener("focus", () => {
      if (!cell.matches(":focus-visible")) return;  // a click chooses only when it ends
      choose(number);
      const box = cell.getBBox(), [x, y, across, down] = svg.getAttribute("viewBox").split(" ");
      const inside = box.x >= x && box.y >= y && box.x + box.width <= Number(x) + Number(across)
        && box.y + box.height <= Number(y) + Number(down);
      if (!inside) Object.assign(at, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
      request();
      view.scrollIntoView({ block: "nearest" });
    });
    button.type = "button";
    button.addEventListener("click", () => {
      choose(number);
      goTo(cell);
      view.scrollIntoView({ block: "nearest" });
    });
    name.replaceWith(button);
  });
  if (said) {
    choose(-1);
    figure.querySelector(".hela-cells").open = false;
  }
  view.setAttribute("role", "application");
  view.setAttribute("aria-roledescription", "picture to zoom");
  view.setAttribute("aria-label", start.alt);
  view.setAttribute("aria-describedby", figure.querySelector(".hela-hint").id);
  view.tabIndex = 0;
  start.alt = "";
  start.draggable = false;
  figure.querySelectorAll("[hidden]").forEach((part) => { part.hidden = false; });
  new ResizeObserver(request).observe(view);
}
