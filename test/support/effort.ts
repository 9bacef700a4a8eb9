/**
 * How much the randomized tests do: each runs as often as it says, on seeds that are the same each time. With
 * `SHIPLOG_TEST_EFFORT=50` it runs 50 times as often, on seeds that are new each time; a failure names its own, and
 * `SHIPLOG_TEST_SEED` begins with that one.
 */
const effort = Number(process.env['SHIPLOG_TEST_EFFORT'] ?? 1);
const given = process.env['SHIPLOG_TEST_SEED'];
const first = given !== undefined ? Number(given) : effort === 1 ? 1 : Math.floor(Math.random() * 2 ** 30);

/** The time that a randomized test may take, in ms. */
export const patience = 60_000 * Math.max(1, effort);

/** Runs for fast-check. */
export function runs(count: number): { seed: number; numRuns: number } {
  return { seed: first, numRuns: Math.ceil(count * effort) };
}

/** So many seeds. */
export function seeds(count: number): number[] {
  return Array.from({ length: Math.ceil(count * effort) }, (_, place) => first + place);
}
