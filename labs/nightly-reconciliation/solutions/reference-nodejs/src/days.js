/** Business days by the head office's clock. A day is text, such as "2031-05-04". */

const { TIME_ZONE, DAY_START } = process.env;
const DAY_MS = 86_400_000;
const CLOCK = new Intl.DateTimeFormat("en-CA", {
  timeZone: TIME_ZONE,
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** The head office's clock at a moment, as if it were in UTC. */
const local = (moment) => {
  const found = Object.fromEntries(CLOCK.formatToParts(moment).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second } = found;
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
};

const dateOf = (moment) => moment.toISOString().slice(0, 10);
const shifted = (day, days) => dateOf(new Date(Date.parse(day) + days * DAY_MS));

/** The day after. */
export const nextDay = (day) => shifted(day, 1);

/** The last business day that was over at a moment. */
export const businessDay = (scheduled) => {
  const clock = local(scheduled);
  const begun = clock.toISOString().slice(11, 16) >= DAY_START;
  return shifted(dateOf(clock), begun ? -1 : -2);
};

/** The moment at which a business day begins. */
export const beginning = (day) => {
  const wanted = Date.parse(`${day}T${DAY_START}:00Z`);
  let moment = new Date(wanted);
  // What the clock is off by depends on the moment, so look again from nearer by.
  for (let turn = 0; turn < 2; turn += 1) moment = new Date(moment.getTime() + wanted - local(moment).getTime());
  return moment;
};

/** A moment as payments have it. */
export const text = (moment) => `${moment.toISOString().slice(0, 19)}Z`;

/** The dates in UTC that a span of time touches. */
export const datesBetween = (start, end) => {
  const found = [dateOf(start)];
  while (found.at(-1) < dateOf(end)) found.push(nextDay(found.at(-1)));
  return found;
};
