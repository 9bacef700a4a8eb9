import { execFileSync } from 'node:child_process';
import { cpus, release, tmpdir, totalmem } from 'node:os';

/** Where figures were measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** In bytes. */
  readonly memory: number;
  readonly kernel: string;
  /** Of the folder that all data lies in. */
  readonly fileSystem: string;
  readonly node: string;
}

/** This machine. @throws where the data would lie in memory: what is measured there says nothing of a disk */
export function thisMachine(): Machine {
  const type = execFileSync('df', ['--output=fstype', tmpdir()], { encoding: 'utf8' }).trim().split('\n').at(-1) ?? '';
  if (type === 'tmpfs') throw new Error(`${tmpdir()} is in memory; set TMPDIR to a folder on a disk`);
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    fileSystem: type,
    node: process.version,
  };
}

/** A machine in one line. */
export function formatMachine({ cpu, cores, memory, kernel, fileSystem, node }: Machine): string {
  const gib = Math.round(memory / 2 ** 30);
  return `${cpu}, ${cores} cores, ${gib} GiB, Linux ${kernel}, ${fileSystem}, Node ${node}`;
}
