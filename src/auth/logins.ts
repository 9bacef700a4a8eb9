import { hash as hashOnce, randomBytes } from 'node:crypto';
import type { Comparer } from './comparer.ts';
import { costOf, type Users } from './htpasswd.ts';
import { Throttle } from './throttle.ts';
import type { UserFile } from './user-file.ts';

/** What became of a log-in. `retryAfter` in ms: too many failed, or too many wait. */
export type Verdict =
  | { readonly status: 'accepted' }
  | { readonly status: 'refused' }
  | { readonly status: 'wait'; readonly retryAfter: number };

/** What is needed to judge log-ins. */
export interface LoginsOptions {
  readonly file: UserFile;
  readonly comparer: Comparer;
  readonly throttle?: Throttle;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

/** How long a verified password is remembered. */
const remembered = 5 * 60_000;
/** How long a wrong one is. */
const refusalRemembered = 60_000;
const mostRemembered = 10_000;
const busyFor = 2000;

/** A log-in that was judged by this hash, and counts until then. */
interface Judged {
  readonly hash: string;
  readonly until: number;
}

/** Judges log-ins; remembers verified passwords as keyed hashes, so that bcrypt is not asked at each request. */
export class Logins {
  readonly #file: UserFile;
  readonly #comparer: Comparer;
  readonly #throttle: Throttle;
  readonly #now: () => number;
  /** Of this process alone: what is remembered is of no use to anyone else. */
  readonly #key = randomBytes(32).toString('hex');
  readonly #verified = new Map<string, Judged>();
  readonly #refused = new Map<string, Judged>();
  readonly #running = new Map<string, Promise<Verdict>>();

  constructor({ file, comparer, now = () => performance.now(), throttle = new Throttle(now) }: LoginsOptions) {
    this.#file = file;
    this.#comparer = comparer;
    this.#throttle = throttle;
    this.#now = now;
  }

  /** Judges a log-in from an address. Equal ones at the same time share one comparison. */
  async verify(user: string, password: string, address: string): Promise<Verdict> {
    // Nobody sees it, so that it need not be an HMAC, which takes three times as long.
    const token = hashOnce('sha256', `${this.#key}${user.length}:${user}:${password}`, 'base64');
    if (this.#isVerified(token, user)) return { status: 'accepted' };
    const place = `${token} ${address}`;
    const running = this.#running.get(place);
    if (running !== undefined) return running;
    const verdict = this.#judgeOnce(token, user, password, address).finally(() => this.#running.delete(place));
    this.#running.set(place, verdict);
    return verdict;
  }

  /**
   * A client that has a wrong password sends it with each of its requests. That is one try, not many: else the right one
   * would have to wait.
   */
  async #judgeOnce(token: string, user: string, password: string, address: string): Promise<Verdict> {
    if (this.#refused.has(token)) {
      await this.#file.refresh();
      if (this.#isKnown(this.#refused, token, this.#hashFor(user).hash)) return { status: 'refused' };
    }
    return this.#judge(token, user, password, address);
  }

  #isVerified(token: string, user: string): boolean {
    return this.#isKnown(this.#verified, token, this.#users()?.get(user));
  }

  #isKnown(judged: Map<string, Judged>, token: string, hash: string | undefined): boolean {
    const entry = judged.get(token);
    if (entry === undefined) return false;
    if (entry.until > this.#now() && entry.hash === hash) return true;
    judged.delete(token);
    return false;
  }

  #users(): Users | undefined {
    const { access } = this.#file;
    return access.mode === 'users' ? access.users : undefined;
  }

  async #judge(token: string, user: string, password: string, address: string): Promise<Verdict> {
    const wait = this.#throttle.take(user, address);
    if (wait !== undefined) return { status: 'wait', retryAfter: wait };
    try {
      const before = this.#hashFor(user);
      let hash = before;
      let equal = await this.#comparer.compare(password, hash.hash);
      if (!equal || !hash.known) {
        await this.#file.refresh();
        hash = this.#hashFor(user);
        const changed = hash.known && hash.hash !== before.hash;
        equal = changed && (await this.#comparer.compare(password, hash.hash));
      }
      if (!equal || !hash.known) {
        this.#remember(this.#refused, token, hash.hash, refusalRemembered);
        return { status: 'refused' };
      }
      this.#remember(this.#verified, token, hash.hash, remembered);
    } catch {
      this.#throttle.giveBack(user, address);
      return { status: 'wait', retryAfter: busyFor };
    }
    this.#throttle.giveBack(user, address);
    return { status: 'accepted' };
  }

  /** Whoever has no line is compared with a hash that costs as much as those of the file, and never accepted. */
  #hashFor(user: string): { hash: string; known: boolean } {
    const users = this.#users();
    const hash = users?.get(user);
    if (hash !== undefined) return { hash, known: true };
    const cost = Math.max(4, ...[...(users?.values() ?? [])].map((line) => costOf(line) ?? 4));
    return { hash: `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`, known: false };
  }

  #remember(judged: Map<string, Judged>, token: string, hash: string, time: number): void {
    judged.delete(token);
    judged.set(token, { hash, until: this.#now() + time });
    if (judged.size <= mostRemembered) return;
    const [oldest] = judged.keys();
    if (oldest !== undefined) judged.delete(oldest);
  }
}
