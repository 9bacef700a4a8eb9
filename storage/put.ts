import type { Content, Driver } from './driver.ts';
import { parallel } from './parallel.ts';

const width = 16;

/** What is put in turn: all of a step is durable before any of the next is seen. */
export type Steps = readonly (readonly Content[])[];

export async function putInSteps(driver: Driver, steps: Steps): Promise<void> {
  if (driver.putInSteps !== undefined) return driver.putInSteps(steps);
  for (const step of steps) await parallel(step, width, ({ key, bytes }) => driver.put(key, bytes));
}

/** Keys that have their content already, durable or not, and what is still to be put. */
export async function sortOut(driver: Driver, steps: Steps): Promise<{ there: string[]; missing: Steps }> {
  const there: string[] = [];
  const missing = await parallel(steps, width, async (step) => {
    const areThere = await parallel(step, width, (content) => isThere(driver, content));
    there.push(...step.filter((_, place) => areThere[place]).map(({ key }) => key));
    return step.filter((_, place) => !areThere[place]);
  });
  return { there, missing };
}

async function isThere(driver: Driver, { key, bytes }: Content): Promise<boolean> {
  const found = await driver.get(key, bytes.length);
  return found !== undefined && Buffer.compare(found, bytes) === 0;
}
