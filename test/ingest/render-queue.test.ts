import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { type Rendered, RenderQueue } from '../../ingest/render-queue.ts';

const part: Rendered = { bulk: Bulk.of([{ id: 'a', json: '{}' }], 0), counts: {} };
const end = (offset: number): Rendered => {
  const place = { segment: 1, offset };
  return { ...part, end: { after: place, resume: place, unfinished: [] } };
};

test('a delivery ends behind a whole block where it can, so that it can be noted how far the journal is', async () => {
  const queue = new RenderQueue();
  const items = [part, end(10), end(20), part, part, end(30)];
  for (const item of items.slice(0, 5)) await queue.put(item);
  expect(queue.take()).toEqual(items.slice(0, 3));
  expect(queue.take()).toEqual(items.slice(3, 5));
  for (const item of items.slice(5)) await queue.put(item);
  expect(queue.take()).toEqual(items.slice(5));
  expect(queue.empty).toBe(true);
});
