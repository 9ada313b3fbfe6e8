// New events come into the list by themselves, and grown ones are renewed. What has the focus or is selected stays
// as it is, what is being read stays where it is, and the reader may pause.
"use strict";
(() => {
  const bar = document.getElementById("live");
  const river = document.getElementById("river");
  if (!bar || !river || !("EventSource" in window)) return;
  const words = bar.querySelector("[role=status]");
  const button = bar.querySelector("button");
  const SETTLE_MS = 1000; // the changes of one batch are shown at once, and the server is not asked more often
  const created = new Set();
  let cursor = bar.dataset.cursor;
  let source = null;
  let timer = 0;
  let isPaused = false;
  let news = 0;

  const isHeld = (article) => {
    const selection = getSelection();
    return (
      article.contains(document.activeElement) ||
      (!selection.isCollapsed && selection.containsNode(article, true))
    );
  };

  const merge = (fresh) => {
    const known = new Map([...river.children].map((one) => [one.id, one]));
    const listed = [...fresh.querySelectorAll("#river > article")];
    const came = listed.filter((one) => !known.has(one.id) && created.has(one.id));
    for (const one of came) one.classList.add("new");
    const renewed = (one) => {
      const old = known.get(one.id);
      if (!old || old.innerHTML === one.innerHTML) return old ?? one;
      if (isHeld(old)) return old;
      one.classList.toggle("new", old.classList.contains("new"));
      return one;
    };
    if ([...river.children].some(isHeld)) {
      // To move an element takes the focus from it: the order stays, and new events go to the top.
      for (const one of listed) {
        const next = renewed(one);
        if (known.has(one.id) && next === one) known.get(one.id).replaceWith(one);
      }
      river.prepend(...came);
    } else {
      const shown = new Set(listed.map((one) => one.id));
      const rest = [...river.querySelectorAll(":scope > article")].filter((one) => !shown.has(one.id));
      river.replaceChildren(...listed.map(renewed), ...rest);
    }
    return came.length;
  };

  const refresh = async () => {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // What is at the upper edge of the window is there afterwards, too; at the top of the page, the newest is.
    const held = document.activeElement.closest("#river > article");
    const upper = held ?? [...river.children].find((one) => one.getBoundingClientRect().bottom > 0);
    const before = held || scrollY > 0 ? upper?.getBoundingClientRect().top : undefined;
    const came = merge(fresh);
    if (before !== undefined) {
      const after = document.getElementById(upper.id)?.getBoundingClientRect().top ?? before;
      scrollBy({ top: after - before, behavior: "instant" });
    }
    news += came;
    if (came) words.textContent = news === 1 ? "1 new event" : `${news} new events`;
  };

  const look = () => {
    timer ||= setTimeout(async () => {
      try {
        await refresh();
      } catch {
        // The server is away: the stream connects again when it is back, and tells what happened meanwhile.
      }
      timer = 0;
    }, SETTLE_MS);
  };

  const listen = () => {
    if (source || isPaused || document.hidden) return;
    source = new EventSource(`/api/v1/changes/stream?after=${cursor}`);
    source.addEventListener("change", (message) => {
      cursor = message.lastEventId;
      const change = JSON.parse(message.data);
      if (change.kind === "created") created.add(`article-${change.event_id}`);
      look();
    });
  };

  const rest = () => {
    source?.close();
    source = null;
  };

  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.textContent = isPaused ? "Go on" : "Pause";
    words.textContent = isPaused ? "Paused: no new events are shown" : "Live: new events appear here";
    if (isPaused) rest();
    else listen();
  });

  // A browser has only a few connections to one server: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", listen);
  bar.hidden = false;
  listen();
})();
