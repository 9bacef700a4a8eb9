import type { Bench, Contestant } from '../frame/bench.ts';
import { store, storing } from './embedded.ts';
import type { Shiplog } from './servers.ts';

/** Lines that are searched; the seconds over which their times are spread; and those after them that are asked for, too. */
const [lines, span, since] = [10_000_000, 20 * 3600, '24h'] as const;

/** Searches of one round, and rounds. */
const [searches, rounds] = [8, 5] as const;

interface Search {
  readonly name: string;
  readonly title: string;
  /** The path of the nth search. `rare`: words that few lines have. */
  readonly path: (search: number, rare: readonly string[]) => string;
}

const frequent = ['timeout', 'response', 'cache', 'user', 'queue', 'database', 'token', 'latency'];

const kinds: readonly Search[] = [
  {
    name: 'search-rare',
    title: 'all records with a word that some two hundred have',
    path: (search, rare) => `/api/logs?q=${rare[search]}&limit=1000`,
  },
  {
    name: 'search-frequent',
    title: 'the newest 100 with a word that every fourth line has',
    path: (search) => `/api/logs?q=${frequent[search % frequent.length]}`,
  },
  {
    name: 'search-field',
    title: 'the newest 100 of a container',
    path: (search) => `/api/logs?q=container:web-${8 + 24 * (search % searches)}`,
  },
  {
    name: 'histogram',
    title: 'a histogram of a day, by level',
    path: () => `/api/logs/histogram?since=${since}&by=level`,
  },
];

/** A shiplog that has all lines. */
interface Filled {
  readonly server: Shiplog;
  readonly rare: readonly string[];
}

/** What all searches share: to fill it takes minutes. To be disposed when they are done. */
class Shared implements AsyncDisposable {
  #filled: Promise<Filled> | undefined;

  get(): Promise<Filled> {
    this.#filled ??= fill();
    return this.#filled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What came of filling it, the search has told that wanted it.
    const filled = await this.#filled?.catch(() => undefined);
    await filled?.server[Symbol.asyncDispose]();
  }
}

export const sharedStore: Shared = new Shared();

async function fill(): Promise<Filled> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await storing());
  await store(server, { lines, span });
  const answer = await fetch(`${server.url}/api/logs?limit=${searches * (rounds + 1)}`);
  const { records }: { readonly records: readonly { readonly message: string }[] } = JSON.parse(await answer.text());
  stack.move();
  // Each line begins with its number.
  return { server, rare: records.map(({ message }) => message.slice(0, 7)) };
}

async function searched({ path }: Search): Promise<Contestant> {
  const { server, rare } = await sharedStore.get();
  return {
    pids: server.pids,
    async round(number) {
      const start = performance.now();
      for (let search = 0; search < searches; search += 1) {
        const response = await fetch(`${server.url}${path(number * searches + search, rare)}`);
        const text = await response.text();
        if (!response.ok || text.length < 1000) throw new Error(`a search found nothing: ${response.url}: ${text}`);
      }
      return { value: (performance.now() - start) / searches, operations: searches };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Searches in the embedded store, over ten million lines of a day. */
export const searchBenches: readonly Bench[] = kinds.map((kind) => ({
  name: kind.name,
  title: `${kind.title}, of ten million lines`,
  unit: 'ms',
  better: 'less',
  operation: 'search',
  rounds,
  goals: [],
  contestants: new Map([['shiplog', () => searched(kind)]]),
}));
