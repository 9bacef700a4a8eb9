import type { ParsedUrlQuery } from 'node:querystring';
import type { Query } from '../../ingest/query/ast.ts';
import { QuerySyntaxError } from '../../ingest/query/errors.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import { HttpError } from '../http/errors.ts';
import { momentForms, parseMoment } from './moment.ts';

/** What is told of a parameter that cannot be used. */
export function invalid(parameter: string, message: string): HttpError {
  return new HttpError(400, 'PARAMETER_INVALID', `${parameter}: ${message}`, { detail: { parameter } });
}

/** The parameters of a request. What cannot be used is a 400 that names it; an empty one counts as absent. */
export class Parameters<Name extends string> {
  readonly #query: ParsedUrlQuery;
  readonly #now: number;

  /** @param now In ms since 1970: what a while ago is counted from. @throws {HttpError} 400 for names that are not known */
  constructor(query: ParsedUrlQuery, names: readonly Name[], now: number) {
    for (const [name, value] of Object.entries(query)) {
      if (!names.some((known) => known === name)) {
        throw invalid(name, `there is no such parameter; there are ${names.join(', ')}`);
      }
      if (Array.isArray(value)) throw invalid(name, 'give it once');
    }
    this.#query = query;
    this.#now = now;
  }

  text(name: Name): string | undefined {
    const value = this.#query[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  /** In ms since 1970. */
  moment(name: Name): number | undefined {
    const text = this.text(name);
    const time = text === undefined ? undefined : parseMoment(text, this.#now);
    if (text !== undefined && time === undefined) throw invalid(name, `expected ${momentForms}`);
    return time;
  }

  /** From 1 to `most`. */
  count(name: Name, fallback: number, most: number): number {
    const text = this.text(name) ?? String(fallback);
    if (!/^\d{1,9}$/.test(text) || Number(text) < 1 || Number(text) > most) {
      throw invalid(name, `expected a number from 1 to ${most}`);
    }
    return Number(text);
  }

  /** A query of the query language; undefined: everything. */
  query(name: Name): Query | undefined {
    try {
      return parseQuery(this.text(name) ?? '');
    } catch (error) {
      if (!(error instanceof QuerySyntaxError)) throw error;
      const { code, position, message } = error;
      throw new HttpError(400, 'QUERY_INVALID', `${name}, at character ${position + 1}: ${message}`, {
        detail: { parameter: name, code, position },
      });
    }
  }
}
