import type { Aim, Figures, Outcome, Result, Spread } from './bench.ts';

/** A bench's result, as the terminal shows it. */
export function format({ name, title, unit, operation, figures, outcomes }: Result): string {
  const [first] = figures;
  const rows = figures.map((one) => [
    one.contestant,
    spread(one.value),
    one === first ? '' : `${ratio((first?.value.median ?? 0) / one.value.median)} ×`,
    one.cpu === undefined ? '' : `CPU ${spread(one.cpu)} ms for each ${operation ?? ''}`,
    memory(one),
    one.loadCores === undefined ? '' : `load ${one.loadCores.toFixed(1)} cores`,
  ]);
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const table = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
  return [`${name}: ${title}, ${unit}`, ...table, ...outcomes.map((outcome) => `  ${formatOutcome(outcome)}`)].join(
    '\n',
  );
}

/** Whether an aim was reached, in words. */
export function formatOutcome({ aim, reached, met }: Outcome): string {
  return `${met ? 'reached' : 'MISSED'}: ${formatAim(aim)}; it is ${ratio(reached)}`;
}

function formatAim(aim: Aim): string {
  if ('most' in aim) return `at most ${aim.most}`;
  if ('least' in aim) return `at least ${aim.least}`;
  if ('ratio' in aim) return `at least ${aim.ratio} × ${aim.than}`;
  if ('atMost' in aim) return `at most ${aim.atMost} × ${aim.than}`;
  return `CPU at most ${aim.cpuRatio} × ${aim.than}`;
}

function spread({ median, least, most }: Spread): string {
  return `${figure(median)} (${figure(least)}–${figure(most)})`;
}

function memory({ peakMemory }: Figures): string {
  return peakMemory === undefined ? '' : `peak ${Math.round(peakMemory / 2 ** 20)} MiB`;
}

/** A number with three digits that count. */
export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

function ratio(value: number): string {
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
}
