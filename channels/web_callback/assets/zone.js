// A page nobody has filled in yet begins with the browser's own time zone; without scripts the choice is by hand.
const select = document.querySelector("select[data-guess]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (select && zone && select.value === select.dataset.guess) {
  if (![...select.options].some((option) => option.value === zone)) {
    select.add(new Option(zone, zone), 0);
  }
  select.value = zone;
}
