// The switch of the theme: system, light or dark, remembered by this browser.
export function themeSwitch(select) {
  const root = document.documentElement;
  select.value = root.dataset.theme ?? "";
  select.closest("label").hidden = false;
  select.addEventListener("change", () => {
    if (select.value) root.dataset.theme = select.value;
    else delete root.dataset.theme;
    try {
      if (select.value) localStorage.setItem("theme", select.value);
      else localStorage.removeItem("theme");
    } catch {
      // It is not remembered, then.
    }
  });
}
