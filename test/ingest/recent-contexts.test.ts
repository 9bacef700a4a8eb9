import { expect, test } from 'vitest';
import { sourceOf } from '../support/block-log.ts';
import { type Document, documentsOf, noon } from '../support/rendering.ts';

/** Headers of which many share the word behind the time, and some all but the priority: stdout and stderr. */
function header(container: number, second: number): string {
  const priority = second % 5 === 0 ? 27 : 30;
  const id = container.toString(16).padStart(12, '0');
  const host = `node-${container % 4}`;
  const stamp = String(second % 60).padStart(2, '0');
  if (container % 3 === 0) return `<${priority}>Nov 24 11:59:${stamp} ${host} web-${container}[9]: `;
  if (container % 3 === 1) return `<${priority}>Nov 24 11:59:${stamp} ${id}[9]: `;
  const tag = `v1|${id}|web-${container}|team/web:1||${host}|prod`;
  return `<${priority}>1 2026-11-24T11:59:${stamp}.123456Z ${host} ${tag} 9 ${tag} - `;
}

async function read(lines: readonly string[]): Promise<Document[]> {
  const payload = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const documents = await documentsOf([
    { kind: 'lf-stream', source: sourceOf(0), arrivedAt: noon, flags: {}, payload },
  ]);
  return documents.map((document) => ({ ...document, event: undefined }));
}

test.each([
  ['fewer headers than are kept', 12],
  ['more of them', 100],
])('lines of many containers, mixed, are read as each of them alone: %s', async (_, containers) => {
  const lines = Array.from({ length: 300 }, (_, n) => `${header((n * 7) % containers, n)}line ${n} [1]: <2>`);
  lines.push('<28>Nov 24 11:59:01 node-0 other text', '<28>1 - node-0 - - - - text', 'no header');
  const alone = await Promise.all(lines.map((line) => read([line])));
  expect(await read(lines)).toEqual(alone.flat());
});
