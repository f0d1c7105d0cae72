// What a person sees and axe-core does not judge: whether anything stands out
// sideways (WCAG 2.2, 1.4.10), whether words are cut off or leave their box
// (1.4.4, 1.4.12), whether the focus can be seen and is not covered (2.4.7,
// 2.4.11), whether codes can be pasted (3.3.8), and whether anything moves for
// those who asked for stillness (2.3.3).
"use strict";

globalThis.sight = (() => {
  const brief = (element) => element.outerHTML.slice(0, 160);
  const unseen = (element) => element.closest(".unseen, .skip, [hidden], svg, script, style, noscript, option");
  const shown = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true });
  // What scrolls by itself may be as wide as it likes: tables, plots, pictures.
  const scrolls = (element) => {
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };

  const sideways = () => {
    const width = document.documentElement.clientWidth;
    if (document.scrollingElement.scrollWidth <= width) return [];
    const out = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e) && !unseen(e));
    return out.slice(-3).map(brief).concat(`${document.scrollingElement.scrollWidth} px wide`);
  };

  const cut = () => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (walk.nextNode()) {
      const text = walk.currentNode, box = text.parentElement;
      if (!text.data.trim() || unseen(box) || !shown(box)) continue;
      let frame = box;
      while (getComputedStyle(frame).display === "inline") frame = frame.parentElement;
      if (scrolls(frame) && !frame.matches("td, th, button, a")) continue;
      const edge = frame.getBoundingClientRect();
      range.selectNodeContents(text);
      for (const line of range.getClientRects()) {
        if (line.width && (line.right > edge.right + 1.5 || line.left < edge.left - 1.5)) {
          found.push(brief(frame));
          break;
        }
      }
      const style = getComputedStyle(frame);
      if (/hidden|clip/.test(style.overflowX + style.overflowY) && (frame.scrollWidth > frame.clientWidth + 1 || frame.scrollHeight > frame.clientHeight + 1)) {
        found.push(brief(frame));
      }
    }
    return found;
  };

  // No picture lies upon words.
  const overlaid = () => [...document.querySelectorAll("svg.icon")].filter(shown).filter((icon) => {
    const mark = icon.getBoundingClientRect(), range = document.createRange();
    const walk = document.createTreeWalker(icon.parentElement, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      if (!walk.currentNode.data.trim() || unseen(walk.currentNode.parentElement)) continue;
      range.selectNodeContents(walk.currentNode);
      for (const line of range.getClientRects()) {
        const wide = Math.min(mark.right, line.right) - Math.max(mark.left, line.left);
        const high = Math.min(mark.bottom, line.bottom) - Math.max(mark.top, line.top);
        if (wide > 1.5 && high > 1.5) return true;
      }
    }
    return false;
  }).map((icon) => brief(icon.parentElement));

  const focusable = ["a[href]", "button", "input:not([type=hidden])", "select", "textarea", "summary", "[tabindex='0']"].map((one) => one + ":not([tabindex='-1'])").join();
  const focus = () => {
    const found = [];
    for (const element of document.querySelectorAll(focusable)) {
      if (!shown(element)) continue;
      element.focus();
      if (document.activeElement !== element) {
        found.push(`takes no focus: ${brief(element)}`);
        continue;
      }
      const style = getComputedStyle(element);
      if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) found.push(`shows no focus: ${brief(element)}`);
      const box = element.getClientRects()[0];
      const x = Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1);
      const y = Math.min(Math.max(box.top + Math.min(box.height, innerHeight) / 2, 1), innerHeight - 1);
      const top = document.elementFromPoint(x, y);
      if (!top || !(element.contains(top) || top.contains(element))) found.push(`is covered: ${brief(element)} by ${top ? brief(top) : "nothing"}`);
    }
    document.activeElement.blur();
    scrollTo(0, 0);
    return found;
  };

  // After a mistake the reader stands before the summary of what is wrong.
  const summary = () => [...document.querySelectorAll("main > .summary")].filter((e) => e !== document.activeElement).map(brief);

  // Nobody has to copy a password or a code by hand (3.3.8).
  const paste = () => [...document.querySelectorAll("input:not([type=hidden], [type=checkbox], [type=radio], [type=file])")].filter((input) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "1234-5678");
    const taken = !input.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    const there = input.value.replace(/\D/g, "") === "12345678";
    if (taken) input.value = "";
    return taken && !there;
  }).map(brief);

  const moves = () => {
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) return [];
    const moving = (e, pseudo) => {
      const style = getComputedStyle(e, pseudo);
      return [style.transitionDuration, style.animationDuration].some((all) => all.split(",").some((one) => parseFloat(one) > 0)) || style.scrollBehavior === "smooth";
    };
    return [...document.querySelectorAll("*")].filter((e) => moving(e) || moving(e, "::before")).map(brief);
  };

  // Headings open sections in order: one of the first level, none skipped (1.3.1).
  const headings = () => {
    const levels = [...document.querySelectorAll("main h1, main h2, main h3, main h4")].filter(shown).map((h) => Number(h.tagName[1]));
    return levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1) ? [] : [levels.join(" ")];
  };

  const rules = {
    sideways: [sideways, "nothing has to be scrolled sideways"],
    cut: [cut, "words stay whole and within their box"],
    overlaid: [overlaid, "no picture lies upon words"],
    focus: [focus, "the focus is seen and not covered"],
    summary: [summary, "the focus is on what is wrong"],
    paste: [paste, "what is copied can be pasted"],
    moves: [moves, "nothing moves for those who asked for stillness"],
    headings: [headings, "no level of headings is skipped"],
  };
  return (names) => names.map((rule) => ({ rule, help: rules[rule][1], nodes: rules[rule][0]() })).filter((found) => found.nodes.length > 0);
})();
