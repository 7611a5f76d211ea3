// One step at a time: the arrow keys, Home and End, the two buttons, or a click on a step.
(() => {
  const steps = [...document.querySelectorAll(".step")];
  const place = document.querySelector(".bar output");
  let at = -1;
  const show = (to) => {
    to = Math.min(Math.max(to, 0), steps.length - 1);
    if (to === at) return;
    if (at >= 0) {
      steps[at].classList.remove("now");
      steps[at].querySelector("button").setAttribute("aria-expanded", "false");
    }
    at = to;
    steps[at].classList.add("now");
    steps[at].querySelector("button").setAttribute("aria-expanded", "true");
    steps[at].scrollIntoView({ block: "nearest" });
    place.textContent = `step ${at + 1} of ${steps.length}`;
  };
  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(at + keys[event.key]);
  });
  document.querySelector(".back").addEventListener("click", () => show(at - 1));
  document.querySelector(".next").addEventListener("click", () => show(at + 1));
  steps.forEach((step, i) => step.querySelector("button").addEventListener("click", () => show(i)));
  document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", () => {
    const first = document.querySelector(`${link.getAttribute("href")} .step`);
    if (first) show(steps.indexOf(first));
  }));
  document.documentElement.classList.add("stepping");
  if (steps.length) show(0);
})();
