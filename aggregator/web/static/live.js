// New events are told as they come; the page stays as it is until the reader asks for them.
"use strict";
(() => {
  const place = document.getElementById("live");
  if (!place || !("EventSource" in window)) return;
  const seen = new Set();
  const source = new EventSource(`/api/v1/changes/stream?after=${place.dataset.cursor}`);
  source.addEventListener("change", (message) => {
    const change = JSON.parse(message.data);
    if (change.kind !== "created" || seen.has(change.event_id)) return;
    seen.add(change.event_id);
    place.textContent = "";
    const link = document.createElement("a");
    link.href = location.pathname + location.search;
    link.textContent = seen.size === 1 ? "1 new event: show it" : `${seen.size} new events: show them`;
    place.append(link);
    place.hidden = false;
  });
})();
