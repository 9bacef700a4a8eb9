/** What one round of a load did. */
export interface Round {
  /** What is compared, in the bench's unit. */
  readonly value: number;
  /** What the server's CPU time is divided by. */
  readonly operations: number;
  /** Cores that the load itself kept busy, where it is a program of its own. */
  readonly loadCores?: number;
}

/** A server of a bench, started, on data of its own. */
export interface Contestant extends AsyncDisposable {
  /** The processes whose CPU time and memory are the server's, with all below them; asked again at each round. */
  readonly pids: () => readonly number[];
  /** Does the load once; rounds are counted from 0, the first of which only warms up. */
  round(number: number): Promise<Round>;
}

/** What the figures are to reach, or any one of several such. */
export type Goal = Aim | { readonly either: readonly Aim[] };

/** One thing to reach. */
export type Aim =
  /** The first contestant's median, as a multiple of another's. */
  | { readonly than: string; readonly ratio: number }
  /** The same, at most. */
  | { readonly than: string; readonly atMost: number }
  /** The same of its CPU time per operation, at most. */
  | { readonly than: string; readonly cpuRatio: number }
  /** The first contestant's median, at most or at least. */
  | { readonly most: number }
  | { readonly least: number };

/** One load, at one or several servers. */
export interface Bench {
  /** As it is asked for on the command line. */
  readonly name: string;
  readonly title: string;
  /** Of the values: `MB/s`, say. */
  readonly unit: string;
  /** Whether more of it is better, or less. */
  readonly better: 'more' | 'less';
  /** What the CPU time is told for: an `image`, say. Absent: it is not told. */
  readonly operation?: string;
  /** Measured rounds of each contestant. */
  readonly rounds: number;
  readonly goals: readonly Goal[];
  /** By name, shiplog first; started one after the other, and all running while rounds alternate between them. */
  readonly contestants: ReadonlyMap<string, () => Promise<Contestant>>;
}

/** Median and bounds of some rounds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** What was measured of one contestant. */
export interface Figures {
  readonly contestant: string;
  readonly value: Spread;
  /** Milliseconds of the server's CPU for an operation: the steadiest figure, since load and servers share the machine. */
  readonly cpu?: Spread;
  /** The most that the server's processes held, in bytes: the sum of each one's own peak. */
  readonly peakMemory?: number;
  /** Cores that the load used itself. */
  readonly loadCores?: number;
}

/** An aim, and whether it was reached. */
export interface Outcome {
  readonly aim: Aim;
  /** What was reached, in the aim's terms. */
  readonly reached: number;
  readonly met: boolean;
}

/** What a bench came to. */
export interface Result {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly operation?: string;
  readonly figures: readonly Figures[];
  readonly outcomes: readonly Outcome[];
}
