import { execFileSync } from 'node:child_process';
import type { Aim, Bench, Contestant, Figures, Goal, Outcome, Result, Round, Spread } from './bench.ts';
import { cpuSeconds, peakMemory } from './processes.ts';

/** Starts the contestants of a bench, drives them in turn, and ends them. */
export async function runBench(bench: Bench): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const measured: { name: string; contestant: Contestant; rounds: (Round & { cpu: number })[] }[] = [];
  for (const [name, start] of bench.contestants) {
    measured.push({ name, contestant: stack.use(await start()), rounds: [] });
  }
  for (let number = 0; number <= bench.rounds; number += 1) {
    // Whoever comes first finds another state of the disk's cache than the last.
    const turn = number % 2 === 0 ? measured : measured.toReversed();
    for (const { contestant, rounds } of turn) {
      // What one server leaves unwritten is not for the next one's time.
      execFileSync('sync');
      const before = await cpuSeconds(contestant.pids());
      const round = await contestant.round(number);
      const cpu = ((await cpuSeconds(contestant.pids())) - before) * 1000;
      if (number > 0) rounds.push({ ...round, cpu });
    }
  }
  const figures: Figures[] = [];
  for (const { name, contestant, rounds } of measured) {
    const memory = await peakMemory(contestant.pids());
    const loads = rounds.flatMap(({ loadCores }) => loadCores ?? []);
    figures.push({
      contestant: name,
      value: spread(rounds.map(({ value }) => value)),
      ...(bench.operation !== undefined && { cpu: spread(rounds.map(({ cpu, operations }) => cpu / operations)) }),
      ...(memory > 0 && { peakMemory: memory }),
      ...(loads.length > 0 && { loadCores: spread(loads).median }),
    });
  }
  const { name, title, unit, better, operation, goals } = bench;
  const outcomes = goals.flatMap((goal) => judge(goal, figures));
  return { name, title, unit, better, ...(operation !== undefined && { operation }), figures, outcomes };
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (place: number): number => sorted[place] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
  return { median, least: at(0), most: at(sorted.length - 1) };
}

/** Of several aims one that was reached is enough. */
function judge(goal: Goal, figures: readonly Figures[]): Outcome[] {
  const outcomes = ('either' in goal ? goal.either : [goal]).map((aim) => measure(aim, figures));
  const met = outcomes.find((outcome) => outcome.met);
  return met === undefined ? outcomes : [met];
}

function measure(aim: Aim, figures: readonly Figures[]): Outcome {
  const [first] = figures;
  if (first === undefined) throw new Error('a bench has no contestants');
  const { median } = first.value;
  if ('most' in aim) return { aim, reached: median, met: median <= aim.most };
  if ('least' in aim) return { aim, reached: median, met: median >= aim.least };
  const other = figures.find(({ contestant }) => contestant === aim.than);
  if (other === undefined) throw new Error(`there is no contestant ${aim.than}`);
  if ('ratio' in aim) {
    const reached = median / other.value.median;
    return { aim, reached, met: reached >= aim.ratio };
  }
  if ('atMost' in aim) {
    const reached = median / other.value.median;
    return { aim, reached, met: reached <= aim.atMost };
  }
  const reached = (first.cpu?.median ?? Number.NaN) / (other.cpu?.median ?? Number.NaN);
  return { aim, reached, met: reached <= aim.cpuRatio };
}
