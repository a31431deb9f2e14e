// Makes an element's content what some HTML of our server says, changing no more than is otherwise: what has
// the focus keeps it, and who listens is not told everything again.
export function become(element, html) {
  const page = new DOMParser().parseFromString(`<template>${html}</template>`, "text/html");
  const wanted = page.querySelector("template").content;
  for (const each of [element, wanted]) trim(each);
  children(element, wanted);
}

// A part stands between line feeds in its page, and alone in a message.
function trim(element) {
  const blank = (node) => node?.nodeType === Node.TEXT_NODE && !node.data.trim();
  while (blank(element.firstChild)) element.firstChild.remove();
  while (blank(element.lastChild)) element.lastChild.remove();
}

function children(old, wanted) {
  const have = [...old.childNodes];
  const want = [...wanted.childNodes];
  want.forEach((node, place) => {
    const there = have[place];
    if (!there) old.append(document.importNode(node, true));
    else if (alike(there, node)) same(there, node);
    else there.replaceWith(document.importNode(node, true));
  });
  have.slice(want.length).forEach((node) => node.remove());
}

function alike(there, node) {
  return there.nodeType === node.nodeType && there.nodeName === node.nodeName;
}

function same(there, node) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (there.data !== node.data) there.data = node.data;
    return;
  }
  for (const { name } of [...there.attributes]) {
    if (!node.hasAttribute(name) && name !== "open") there.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  }
  children(there, node);
}
