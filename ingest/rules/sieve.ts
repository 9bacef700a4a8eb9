import { crc32 } from 'node:zlib';
import { readApplication } from '../parse/app-json.ts';
import type { Batch } from '../parse/line.ts';
import { type Common, type DocumentOptions, renderCommon } from '../parse/render-ecs.ts';
import type { CommonFacts, Own } from '../record.ts';
import { type Note, Notes, originOfNote } from './notes.ts';
import { RateMeter } from './rate.ts';
import { type Redact, redactFacts, redactLine } from './redact.ts';
import type { ReadyRule } from './rule.ts';
import { rateLimitName, type Rules } from './rules.ts';

/** A record before it is rendered. */
export interface Candidate {
  readonly batch: Batch;
  readonly id: string;
  readonly sequence: number;
  readonly facts: CommonFacts;
  readonly common: Common;
  readonly tags: readonly string[];
  /** Its message is what an application wrote, which may be JSON and is not read yet. */
  readonly written: boolean;
  readonly own: Own;
}

/** What is left of a record that is kept. */
export type Sifted = Pick<Candidate, 'own' | 'facts' | 'common' | 'tags'>;

/** What rules put in the place of what a record says. */
interface Assigned {
  readonly level?: string;
  readonly ecs?: NonNullable<Own['ecs']>;
}

/** Applies rules to the records of one directory of the spool. */
export class Sieve {
  readonly #rules: Rules;
  readonly #options: DocumentOptions;
  readonly #rate: RateMeter | undefined;
  readonly #notes = new Notes();
  /** Rules that may be for records with these facts. */
  readonly #suiting = new WeakMap<CommonFacts, readonly ReadyRule[]>();
  /** What each rule leaves of facts, how that is rendered, and what notes say of it. */
  readonly #clean = new WeakMap<Redact, WeakMap<CommonFacts, CommonFacts>>();
  readonly #commons = new WeakMap<CommonFacts, Common>();
  readonly #origins = new WeakMap<CommonFacts, CommonFacts>();
  #dropped = 0;

  constructor(rules: Rules, options: DocumentOptions) {
    this.#rules = rules;
    this.#options = options;
    this.#rate = rules.rateLimit && new RateMeter(rules.rateLimit);
  }

  /** Records that were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What is to be told before a block of this segment that arrived then, in µs since 1970. */
  notesBefore(segment: string, arrivedAt: number): Note[] {
    return this.#notes.before(segment, arrivedAt);
  }

  /** What is still to be told: nothing more comes. */
  end(): Note[] {
    return this.#notes.end();
  }

  /** What is left of a record; undefined: it is dropped. Never throws. */
  sift(candidate: Candidate): Sifted | undefined {
    const { written, batch, id, facts: known } = candidate;
    const { arrivedAt } = batch.block;
    const read = (own: Own): Own => (written ? readApplication(own, arrivedAt) : own);
    let { own: source, facts, tags } = candidate;
    let own = read(source);
    let assigned: Assigned = {};
    for (const { name, matches, action } of this.#suitingTo(known)) {
      if (!matches(assigned.level ?? own.level ?? facts.level, source.message)) continue;
      switch (action.kind) {
        case 'drop':
          return this.#drop(name, candidate);
        case 'sample':
          if (crc32(id) % action.of !== 0) return this.#drop(name, candidate);
          break;
        case 'set':
          this.#rules.count(name);
          assigned = { ...assigned, ...action.assigned, ecs: mergeEcs(assigned.ecs, action.assigned.ecs) };
          break;
        case 'redact': {
          const { redact } = action;
          const before = [own, facts, tags];
          const left = redactSource(source, redact);
          own = redactFacts(left === source ? own : read(left), redact);
          facts = this.#redacted(facts, redact);
          tags = redactFacts(tags, redact);
          if (left !== source || own !== before[0] || facts !== before[1] || tags !== before[2]) {
            this.#rules.count(name);
          }
          source = left;
          break;
        }
      }
    }
    if (this.#rate?.allows(known, arrivedAt) === false) return this.#drop(rateLimitName, candidate);
    return {
      own: assign(own, assigned),
      facts,
      common: facts === known ? candidate.common : this.#commonOf(facts),
      tags,
    };
  }

  #suitingTo(facts: CommonFacts): readonly ReadyRule[] {
    return known(this.#suiting, facts, () => this.#rules.ready.filter(({ suits }) => suits(facts)));
  }

  #redacted(facts: CommonFacts, redact: Redact): CommonFacts {
    const clean = known(this.#clean, redact, () => new WeakMap<CommonFacts, CommonFacts>());
    return known(clean, facts, () => redactFacts(facts, redact));
  }

  #commonOf(facts: CommonFacts): Common {
    return known(this.#commons, facts, () => renderCommon(facts, this.#options));
  }

  #drop(rule: string, { batch, sequence, facts }: Candidate): undefined {
    this.#dropped += 1;
    this.#rules.count(rule);
    this.#notes.add({ rule, facts: this.#originOf(facts), batch, sequence });
  }

  /** A note is about records that no rule saw to its end, so all that redact see to it. */
  #originOf(facts: CommonFacts): CommonFacts {
    return known(this.#origins, facts, () => {
      const redactors = this.#rules.ready.flatMap(({ action }) => (action.kind === 'redact' ? [action.redact] : []));
      return redactors.reduce((clean, redact) => redactFacts(clean, redact), originOfNote(facts));
    });
  }
}

/** What a map knows of a key, or learns now. */
function known<K extends WeakKey, V>(map: WeakMap<K, V>, key: K, find: () => V): V {
  const there = map.get(key);
  if (there !== undefined) return there;
  const found = find();
  map.set(key, found);
  return found;
}

/** Redacts what a record says, before it is read as what an application wrote. */
function redactSource(own: Own, redact: Redact): Own {
  const message = redactLine(own.message, redact);
  const clean = redactFacts(own, redact);
  return message === own.message && clean === own ? own : { ...clean, message };
}

function assign(own: Own, { level, ecs }: Assigned): Own {
  if (level === undefined && ecs === undefined) return own;
  return { ...own, ...(level !== undefined && { level }), ...(ecs && { ecs: mergeEcs(own.ecs, ecs) }) };
}

/** Objects of ECS, of whose members the latter hold. */
function mergeEcs(ecs: Assigned['ecs'] = {}, more: Assigned['ecs'] = {}): NonNullable<Assigned['ecs']> {
  const merged: Record<string, unknown> = { ...ecs };
  for (const [name, members] of Object.entries(more)) {
    const there = merged[name];
    merged[name] = typeof there === 'object' ? { ...there, ...Object(members) } : members;
  }
  return merged;
}
