// A login link has its code behind the #, which is not sent by itself: send it by the form.
export function loginLink(form) {
  const code = location.hash.slice(1);
  if (!form || !/^[\w-]{16,}$/.test(code)) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = code;
  form.requestSubmit();
}
