function showSurface(figure, drawScale) {
  "use strict";
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const canvas = figure.querySelector("canvas"), context = canvas.getContext("2d");
  const [turnButton, resetButton] = figure.querySelectorAll("button");
  const slider = figure.querySelector("input"), cutText = figure.querySelector("output");
  const scale = figure.querySelector(".hela-scale");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const faces = new (data.wide ? Uint32Array : Uint16Array)(bytes(data.faces));
  const count = data.count, model = Float32Array.from(new Uint16Array(bytes(data.points)),
    (value, i) => value * data.step_um - data.size_um[i % 3] / 2);
  const normals = new Float32Array(3 * count);
  let radius = 0;
  for (let i = 0; i < 3 * count; i += 3) {
    radius = Math.max(radius, Math.hypot(model[i], model[i + 1], model[i + 2]));
  }
  const start = { yaw: 0.5, pitch: 0.35, zoom: 1 }, view = Object.assign({}, start);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let turning = false, turned = 0, last = 0, seen = false, cost = 0, drawn = 0;
  let queued = 0, settle = 0, moving = 0;

  function addNormals() {
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const p = [0, 1, 2].map((k) => model[b + k] - model[a + k]);
      const q = [0, 1, 2].map((k) => model[c + k] - model[a + k]);
      for (let k = 0; k < 3; k++) {
        const i = (k + 1) % 3, j = (k + 2) % 3, n = p[i] * q[j] - p[j] * q[i];
        for (const v of [a, b, c]) normals[v + k] += n;
      }
    }
    for (let v = 0; v < 3 * count; v += 3) {
      const size = Math.hypot(normals[v], normals[v + 1], normals[v + 2]) || 1;
      for (let k = 0; k < 3; k++) normals[v + k] /= size;
    }
  }

  function pixel(colour, light) {
    const white = Math.max(0, light - 0.8), strength = Math.min(1, light / 0.8);
    const mixed = colour.map((c) => c * strength + (255 - c * strength) * white);
    return new Uint32Array(new Uint8ClampedArray([...mixed, 255]).buffer)[0];
  }
  const outside = Uint32Array.from({ length: 256 }, (_, i) => pixel(data.colour, i / 255));
  const inside = pixel(data.cut_colour, 0.8);
  const across = new Float32Array(count), down = new Float32Array(count);
  const near = new Float32Array(count), light = new Float32Array(count);
  let image = null, pixels = null, depth = null;

  function draw(ratio) {
    const begin = performance.now();
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (!image || image.width !== width || image.height !== height) {
      canvas.width = width;
      canvas.height = height;
      image = context.createImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
      depth = new Float32Array(width * height);
    }
    pixels.fill(0);
    depth.fill(-Infinity);
    const size = view.zoom * Math.min(width, height) / (2.05 * radius);
    const cy = Math.cos(view.yaw), sy = Math.sin(view.yaw);
    const cp = Math.cos(view.pitch), sp = Math.sin(view.pitch);
    for (let v = 0, i = 0; v < count; v++, i += 3) {
      const x = model[i], y = model[i + 1], z = model[i + 2], front = y * cy - x * sy;
      across[v] = width / 2 + size * (x * cy + y * sy);
      down[v] = height / 2 + size * (z * cp + front * sp);
      near[v] = front * cp - z * sp;
      const ny = normals[i + 1] * cy - normals[i] * sy, nx = normals[i] * cy + normals[i + 1] * sy;
      const nd = normals[i + 2] * cp + ny * sp, nn = ny * cp - normals[i + 2] * sp;
      // Light from the upper left front, a little from everywhere, a soft highlight, and less of
      // it all farther away.
      const lit = Math.max(0, -0.45 * nx - 0.6 * nd + 0.66 * nn);
      const sum = 0.36 + 0.1 * nn - 0.06 * nd + 0.36 * lit + 0.2 * lit ** 12;
      light[v] = 255 * sum * (0.88 + 0.12 * near[v] / radius);
    }
    // Whole is whole: a rounding of the lowest points must not open it.
    const cut = slider.value === slider.min
      ? -Infinity : cutAt() - data.size_um[2] / 2 - data.low_um;
    for (let f = 0; f < faces.length; f += 3) {
      fill(faces[f], faces[f + 1], faces[f + 2], width, height, cut);
    }
    context.putImageData(image, 0, 0);
    drawScale(scale, width / ratio, size / ratio);
    if (++drawn > 5) cost = performance.now() - begin;  // the first ones wait for the compiler
  }

  function fill(a, b, c, width, height, cut) {
    const za = model[3 * a + 2], zb = model[3 * b + 2], zc = model[3 * c + 2];
    if (za < cut && zb < cut && zc < cut) return;
    const whole = za >= cut && zb >= cut && zc >= cut;
    const ax = across[a], ay = down[a], bx = across[b], by = down[b], ex = across[c], ey = down[c];
    const area = (bx - ax) * (ey - ay) - (ex - ax) * (by - ay);
    if (!area) return;
    const left = Math.max(0, Math.ceil(Math.min(ax, bx, ex)));
    const right = Math.min(width - 1, Math.floor(Math.max(ax, bx, ex)));
    const top = Math.max(0, Math.ceil(Math.min(ay, by, ey)));
    const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by, ey)));
    const da = (by - ey) / area, db = (ey - ay) / area;
    for (let y = top; y <= bottom; y++) {
      let wa = ((bx - left) * (ey - y) - (ex - left) * (by - y)) / area;
      let wb = ((ex - left) * (ay - y) - (ax - left) * (ey - y)) / area;
      for (let x = left, at = y * width + left; x <= right; x++, at++, wa += da, wb += db) {
        const wc = 1 - wa - wb;
        if (wa < -1e-6 || wb < -1e-6 || wc < -1e-6) continue;
        const d = wa * near[a] + wb * near[b] + wc * near[c];
        if (d <= depth[at] || !whole && wa * za + wb * zb + wc * zc < cut) continue;
        depth[at] = d;
        // Where the inside of the surface is in front, one looks through the cut: painted flat,
        // it is the cut's face.
        pixels[at] = area < 0
          ? outside[Math.min(255, wa * light[a] + wb * light[b] + wc * light[c]) | 0] : inside;
      }
    }
  }

  function cutAt() { return data.cut_um + slider.value * data.cut_step_um; }
  function showCut() {
    cutText.textContent = slider.value === slider.min ? "whole" : data.first_slice
      ? "slice " + (data.first_slice + Number(slider.value)) : cutAt().toFixed(2) + " µm";
    slider.setAttribute("aria-valuetext", cutText.textContent);
  }

  // Sharp at rest; while it moves, coarser where the computer is slow.
  const sharp = () => Math.min(Math.max(2, devicePixelRatio), 1200 / canvas.clientWidth);
  function frame(now) {
    queued = 0;
    if (turning && seen) {
      const angle = Math.min(0.1, (now - last) / 1000) * 0.3;
      view.yaw += angle;
      turned += angle;
      if (turned > 2 * Math.PI) turn(false);
      else request();
    }
    last = now;
    if (cost > 24) moving = Math.max(1, sharp() / 2);
    draw(moving || sharp());
    clearTimeout(settle);
    if (moving) settle = setTimeout(() => draw(sharp()), 200);
  }
  function request() { queued = queued || requestAnimationFrame(frame); }
  function turn(on) {
    turning = on;
    turned = 0;
    last = performance.now();
    turnButton.textContent = on ? "Stop" : "Turn";
    if (on) request();
  }
  function move(yaw, pitch, zoom) {
    turn(false);
    view.yaw += yaw;
    view.pitch = Math.min(Math.PI / 2, Math.max(-Math.PI / 2, view.pitch + pitch));
    view.zoom = Math.min(8, Math.max(0.5, view.zoom * zoom));
    request();
  }
  function reset() { Object.assign(view, start); slider.value = 0; showCut(); move(0, 0, 1); }

  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    turn(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    if (other) move(0, 0, apart(event) / Math.max(1, apart(before)));
    else move((before.clientX - event.clientX) * -0.01, (event.clientY - before.clientY) * 0.01, 1);
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // without it the wheel scrolls the page, as everywhere
    event.preventDefault();
    move(0, 0, Math.exp(-event.deltaY * 0.01));
  }, { passive: false });
  const keys = {
    ArrowLeft: [-0.1, 0, 1], ArrowRight: [0.1, 0, 1], ArrowUp: [0, -0.1, 1],
    ArrowDown: [0, 0.1, 1], "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 1 / 1.15],
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) move(...keys[event.key]);
    else if (event.key === "Home") reset();
    else if (event.key === " ") turn(!turning);
    else return;
    event.preventDefault();
  });
  turnButton.addEventListener("click", () => turn(!turning));
  resetButton.addEventListener("click", reset);
  slider.addEventListener("input", () => { showCut(); move(0, 0, 1); });

  addNormals();
  figure.querySelectorAll("[hidden]").forEach((part) => { part.hidden = false; });
  showCut();
  new ResizeObserver(request).observe(canvas);
  new IntersectionObserver((entries) => {
    seen = entries[entries.length - 1].isIntersecting;
    last = performance.now();
    if (seen) request();
  }).observe(canvas);
  turn(!still.matches);
}
