import { readdir, readFile } from 'node:fs/promises';

/** The memory of a process and its children, in bytes: the sum of their proportional set sizes. */
export async function memoryOf(pid: number): Promise<number> {
  const all = await family(pid);
  const sizes = await Promise.all(all.map(pss));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function pss(pid: number): Promise<number> {
  // A child may have ended since it was listed.
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** A process and all below it. */
async function family(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const texts = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  );
  const children = texts.flatMap((text) => text.split(' ').filter(Boolean).map(Number));
  return [pid, ...(await Promise.all(children.map(family))).flat()];
}
