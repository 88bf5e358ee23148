// The reader's choice of class colours: remembered, and the same on every page.
(function () {
  "use strict";
  const key = "hela-palette";
  function read() {
    try { return localStorage.getItem(key); } catch (error) { return null; }  // storage may be off
  }
  function set(safe) {
    document.documentElement.dataset.palette = safe ? "safe" : "paper";
    document.querySelectorAll(".hela-palette-switch").forEach(function (button) {
      button.setAttribute("aria-pressed", String(safe));
    });
  }
  set(read() === "safe");
  document.addEventListener("DOMContentLoaded", function () {
    set(read() === "safe");
    document.querySelectorAll(".hela-palette-switch").forEach(function (button) {
      button.addEventListener("click", function () {
        const safe = document.documentElement.dataset.palette !== "safe";
        set(safe);
        try { localStorage.setItem(key, safe ? "safe" : "paper"); } catch (error) { /* this page only */ }
      });
    });
  });
})();
