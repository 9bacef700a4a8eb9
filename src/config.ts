import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, parseDocument, stringify } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from './config/error.ts';
import { type Key, keys, nearest, variable } from './config/keys.ts';
import { complete, type Config, configSchema, contradictions, packageRoot } from './config/schema.ts';

export type { Config, ElasticsearchConfig, LogsConfig } from './config/schema.ts';
export { packageRoot } from './config/schema.ts';
export { formatAddress, type ListenAddress } from './config/address.ts';
export { ConfigError } from './config/error.ts';

/** Where configuration comes from. */
export interface ConfigSources {
  /** What `--config` named, relative to the working folder; without it `$SHIPLOG_CONFIG` is asked. */
  readonly file?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Reads the configuration: the defaults, then the file, then the environment.
 * @throws {ConfigError} which names each key that is wrong, where it came from, and what is expected.
 */
export function loadConfig({ file, env }: ConfigSources): Config {
  const name = file ?? env['SHIPLOG_CONFIG'] ?? '';
  return new Loader(name === '' ? undefined : resolve(name), env).load();
}

/** The configuration as a file that would bring it about; secrets are masked. */
export function printConfig(config: Config): string {
  const tree: Tree = {};
  for (const key of keys.values()) {
    const value = get(config, key.name.split('.'));
    if (value !== undefined) set(tree, key.name, key.secret ? '********' : key.toFile(value));
  }
  return stringify(tree);
}

/** Keys with values or further keys, as a file gives them. */
type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function get(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value: unknown, part) => {
    if (Array.isArray(value)) return value[Number(part)];
    return isTree(value) && typeof part === 'string' && Object.hasOwn(value, part) ? value[part] : undefined;
  }, tree);
}

/** Sets a key, or removes it. False: something that is no section stands in its way, or it is not there. */
function set(tree: Tree, key: string, value: unknown): boolean {
  const [first = '', ...rest] = key.split('.');
  if (rest.length > 0) {
    const section = (tree[first] ??= {});
    return isTree(section) && set(section, rest.join('.'), value);
  }
  if (value === undefined) return delete tree[first];
  tree[first] = value;
  return true;
}

/** Variables that are no keys: what the command line asks for. */
const otherVariables = ['SHIPLOG_CONFIG', 'SHIPLOG_URL', 'SHIPLOG_USER', 'SHIPLOG_PASSWORD'];

/** Kubernetes sets these for a service that is named shiplog, and Docker for a container that is linked. */
const foreignVariables = /^SHIPLOG_(?:(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_.*)?|NAME|ENV_.*)$/;

class Loader {
  readonly #file: string | undefined;
  readonly #env: NodeJS.ProcessEnv;
  readonly #base: string;
  readonly #problems: string[] = [];
  /** Keys that did not come from the file → where they came from. */
  readonly #origins = new Map<string, string>();

  constructor(file: string | undefined, env: NodeJS.ProcessEnv) {
    this.#file = file;
    this.#env = env;
    this.#base = file === undefined ? packageRoot : dirname(file);
  }

  load(): Config {
    const tree = this.#file === undefined ? {} : readTree(this.#file);
    this.#readSecretFiles(tree);
    this.#readEnvironment(tree);
    const parsed = configSchema(this.#base).safeParse(tree);
    if (!parsed.success) this.#problems.push(...parsed.error.issues.flatMap((issue) => this.#explain(issue, tree)));
    else for (const { key, message } of contradictions(parsed.data)) this.#problems.push(this.#line(key, message));
    if (!parsed.success || this.#problems.length > 0) throw new ConfigError(this.#problems);
    return complete(parsed.data);
  }

  /** Takes `password_file` for `password`, and so on. */
  #readSecretFiles(tree: Tree): void {
    for (const { name } of secretKeys()) {
      const file = get(tree, `${name}_file`.split('.'));
      if (file === undefined) continue;
      set(tree, `${name}_file`, undefined);
      if (get(tree, name.split('.')) !== undefined) {
        this.#problems.push(this.#line(name, `give this or ${name}_file, not both`));
      } else if (typeof file === 'string') {
        this.#setSecret(tree, name, file, `${this.#file}, ${name}_file`);
      } else {
        this.#problems.push(this.#line(`${name}_file`, 'expected a path'));
      }
    }
  }

  #readEnvironment(tree: Tree): void {
    const byVariable = new Map([...keys.values()].map((key) => [variable(key.name), key]));
    const secretFiles = new Map(secretKeys().map((key) => [`${variable(key.name)}_FILE`, key]));
    for (const [name, text] of Object.entries(this.#env)) {
      if (!name.startsWith('SHIPLOG_') || text === undefined || text === '') continue;
      const key = byVariable.get(name);
      const secret = secretFiles.get(name);
      if (key !== undefined) {
        this.#origins.set(key.name, `$${name}`);
        set(tree, key.name, key.fromText(text));
      } else if (secret !== undefined) {
        if ((this.#env[variable(secret.name)] ?? '') === '') this.#setSecret(tree, secret.name, text, `$${name}`);
        else this.#problems.push(`$${name}: give this or $${variable(secret.name)}, not both`);
      } else if (!otherVariables.includes(name) && !foreignVariables.test(name)) {
        const near = nearest(name, [...byVariable.keys(), ...secretFiles.keys(), ...otherVariables]);
        this.#problems.push(`$${name}: there is no such key${near === undefined ? '' : `; did you mean $${near}?`}`);
      }
    }
  }

  #setSecret(tree: Tree, key: string, file: string, origin: string): void {
    this.#origins.set(key, origin);
    try {
      set(tree, key, readFileSync(resolve(this.#base, file), 'utf8').replace(/\r?\n$/, ''));
    } catch (error) {
      this.#problems.push(`${key} (${origin}): cannot be read: ${messageOf(error)}`);
    }
  }

  /** A line on a problem: key, where it came from, what is expected. */
  #line(key: string, message: string): string {
    const origin = this.#origins.get(key) ?? this.#file ?? `$${variable(key)}`;
    return `${key} (${origin}): ${message}`;
  }

  #explain(issue: z.core.$ZodIssue, tree: Tree): string[] {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => this.#unknown([...issue.path, key]));
    const [section = '', ...rest] = issue.path.map(String);
    // Entries of a list belong to the list's key.
    const key = [...keys.keys()].find((name) => `${[section, ...rest].join('.')}.`.startsWith(`${name}.`));
    const place = [section, ...rest].join('.');
    const message =
      issue.code === 'invalid_type' && issue.expected === 'object' ? 'expected keys below it' : issue.message;
    const value = get(tree, issue.path);
    const shown =
      value === undefined || (key !== undefined && keys.get(key)?.secret === true) ? '' : `, not ${show(value)}`;
    const origin = this.#origins.get(key ?? place) ?? this.#file ?? 'default';
    return [`${place} (${origin}): ${message}${shown}`];
  }

  #unknown(path: readonly PropertyKey[]): string {
    const name = path.map(String).join('.');
    const sections = [...keys.keys()].flatMap((key) =>
      key.split('.').map((_, n, parts) => parts.slice(0, n + 1).join('.')),
    );
    const last = String(path.at(-1));
    const near = nearest(name, new Set(sections)) ?? sections.find((key) => key.split('.').at(-1) === last);
    return `${this.#line(name, 'there is no such key')}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
}

/** A wrong value for a message, without the user that a URL may have in it. */
function show(value: unknown): string {
  return JSON.stringify(value).replace(/\/\/[^/"]*@/g, '//********@');
}

function secretKeys(): Key[] {
  return [...keys.values()].filter(({ secret }) => secret);
}

function readTree(file: string): Tree {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read: ${messageOf(error)}`]);
  }
  const document = parseDocument(content);
  if (document.errors.length > 0) throw new ConfigError(document.errors.map(({ message }) => `${file}: ${message}`));
  if (document.contents === null) return {};
  const tree: unknown = isMap(document.contents) ? document.toJS() : undefined;
  if (!isTree(tree)) throw new ConfigError([`${file}: expected keys with values, such as "data: ./data"`]);
  return tree;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
