// Shows what a glossary word or a citation means, beside its link: on hover and on focus.
(function () {
  "use strict";
  document.addEventListener("DOMContentLoaded", function () {
    const texts = window.helaPreviews || {};
    const root = new URL(document.documentElement.dataset.content_root || "./", location.href).href;
    let box = null;
    let of = null;

    function hide() {
      if (!box) { return; }
      of.removeAttribute("aria-describedby");
      box.remove();
      box = of = null;
    }

    function leave() {
      // The box may be read with the pointer on it; what has the focus keeps it.
      setTimeout(function () {
        if (box && !box.matches(":hover") && !of.matches(":hover, :focus")) { hide(); }
      }, 200);
    }

    function show(link, text) {
      hide();
      box = document.createElement("div");
      box.id = "hela-preview";
      box.className = "hela-preview";
      box.setAttribute("role", "tooltip");
      box.textContent = text;
      box.addEventListener("mouseleave", leave);
      document.body.append(box);
      of = link;
      link.setAttribute("aria-describedby", box.id);
      const at = link.getClientRects()[0];
      const size = box.getBoundingClientRect();
      const left = Math.min(at.left, document.documentElement.clientWidth - size.width - 8);
      const below = at.bottom + 4 + size.height < window.innerHeight;
      box.style.left = Math.max(8, left) + window.scrollX + "px";
      box.style.top = (below ? at.bottom + 4 : at.top - size.height - 4) + window.scrollY + "px";
    }

    document.querySelectorAll(".bd-article a[href]").forEach(function (link) {
      const text = link.href.startsWith(root) && texts[link.href.slice(root.length)];
      if (!text) { return; }
      link.addEventListener("mouseenter", function () { show(link, text); });
      link.addEventListener("focus", function () { show(link, text); });
      link.addEventListener("blur", hide);
      link.addEventListener("mouseleave", leave);
    });
    document.addEventListener("keydown", function (event) {
      if (event.key === "Escape") { hide(); }
    });
  });
})();
