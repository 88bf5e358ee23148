(function turnSlides() {
  "use strict";
  const slides = Array.from(document.querySelectorAll("main > section"));
  const isSpeaker = window.name === "speaker";
  let speaker = null;
  const asked = document.getElementById(location.hash.slice(1));
  let now = Math.max(0, slides.indexOf(asked && asked.closest("main > section")));

  function show(number, tell) {
    now = Math.max(0, Math.min(slides.length - 1, number));
    history.replaceState(null, "", "#" + slides[now].id);
    slides[now].scrollIntoView();
    slides[now].focus({ preventScroll: true });
    const other = isSpeaker ? window.opener : speaker;
    if (tell && other) other.postMessage(now, "*");
  }
  // Forward or back to a slide without code, if there is one.
  function skip(step) {
    let number = now + step;
    while (slides[number] && slides[number].className === "code") number += step;
    return slides[number] ? number : now;
  }
  function openAll() {
    document.querySelectorAll("section > details").forEach((notes) => { notes.open = true; });
    show(now, false);
  }
  function turnNotes() {
    const notes = slides[now].querySelector(":scope > details");
    if (notes) notes.open = !notes.open;
  }

  const keys = {
    ArrowRight: () => show(skip(1), true),
    ArrowLeft: () => show(skip(-1), true),
    ArrowDown: () => show(now + 1, true),
    ArrowUp: () => show(now - 1, true),
    PageDown: () => show(now + 1, true),
    PageUp: () => show(now - 1, true),
    Home: () => show(0, true),
    End: () => show(slides.length - 1, true),
    n: turnNotes,
    s: () => { speaker = window.open(location.href, "speaker", "width=900,height=700"); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select")) return;
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  // Who scrolls, by a finger or a wheel, goes on from there.
  const watcher = new IntersectionObserver((seen) => {
    seen.forEach((each) => { if (each.isIntersecting) now = slides.indexOf(each.target); });
  }, { rootMargin: "-45% 0px -45% 0px" });
  slides.forEach((slide) => watcher.observe(slide));
  window.addEventListener("message", (event) => {
    if (event.source === speaker || event.source === window.opener) show(Number(event.data), false);
  });
  window.addEventListener("beforeprint", openAll);
  if (isSpeaker) openAll();
})();
