import { parseDocument } from 'yaml';

/** A text, or further settings by name. */
type Setting = string | Settings;
type Settings = Map<string, Setting>;

/** What a configuration of registry:2 has at its top, `loglevel` of its first version with it. */
const sections = new Set(
  `version log loglevel storage auth middleware reporting http notifications redis health proxy compatibility
   validation policy catalog`.split(/\s+/),
);

/** The configuration cannot be read; the message says why. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * The settings of a configuration of registry:2 (or distribution v3), from its file and its environment. They are taken
 * one by one, and what nobody took can be listed. All values are texts, as they were written.
 */
export class RegistrySettings {
  readonly #settings: Settings;

  /**
   * `file`: its text. Variables of the environment win: `REGISTRY_HTTP_ADDR` is `http.addr`.
   * @throws {SettingsError}
   */
  constructor(file: string, env: NodeJS.ProcessEnv) {
    const settings = parse(file);
    if (typeof settings === 'string') throw new SettingsError('expected settings such as "version: 0.1"');
    this.#settings = settings;
    // In this order the more general comes first: REGISTRY_STORAGE before REGISTRY_STORAGE_S3_BUCKET.
    for (const [name, text = ''] of Object.entries(env).toSorted(([one], [other]) => (one < other ? -1 : 1))) {
      const path = name.toLowerCase().split('_');
      // Kubernetes and Docker set others for a service of that name: REGISTRY_PORT.
      if (path.shift() === 'registry' && sections.has(path[0] ?? '')) set(this.#settings, path, readVariable(text));
    }
  }

  /** The names below a path; a text is a name that has nothing below it. */
  names(path: string): string[] {
    const setting = this.#find(path);
    if (typeof setting === 'string') return setting === '' ? [] : [setting];
    return [...(setting?.keys() ?? [])];
  }

  /** A text, which is taken. Undefined: there is none, or it is empty. */
  take(path: string): string | undefined {
    const setting = this.#find(path);
    if (typeof setting !== 'string') return undefined;
    const [parent, name] = split(path);
    const above = this.#find(parent);
    if (above instanceof Map) above.delete(name);
    return setting === '' ? undefined : setting;
  }

  /** Whether something is switched on. */
  takeFlag(path: string): boolean | undefined {
    const text = this.take(path);
    return text === undefined ? undefined : /^(?:true|yes|on|y|1|t)$/i.test(text);
  }

  /** The paths of all texts that nobody took. */
  left(): string[] {
    const paths = (settings: Settings, above: string): string[] =>
      [...settings].flatMap(([name, setting]) =>
        typeof setting === 'string' ? [`${above}${name}`] : paths(setting, `${above}${name}.`),
      );
    return paths(this.#settings, '');
  }

  #find(path: string): Setting | undefined {
    const parts = path === '' ? [] : path.split('.');
    return parts.reduce<Setting | undefined>(
      (setting, name) => (setting instanceof Map ? setting.get(name) : undefined),
      this.#settings,
    );
  }
}

function split(path: string): [parent: string, name: string] {
  const dot = path.lastIndexOf('.');
  return [path.slice(0, Math.max(dot, 0)), path.slice(dot + 1)];
}

/** A variable holds a text, or settings in the short form of YAML. */
function readVariable(text: string): Setting {
  return /^\s*[[{]/.test(text) ? parse(text) : text;
}

function parse(text: string): Setting {
  // By this schema whatever is no list or map is a text.
  const document = parseDocument(text, { schema: 'failsafe' });
  const [error] = document.errors;
  if (error !== undefined) throw new SettingsError(error.message);
  return toSetting(document.toJS({ mapAsMap: true }) ?? new Map());
}

function toSetting(value: unknown): Setting {
  if (value instanceof Map) return new Map([...value].map(([name, part]) => [String(name), toSetting(part)]));
  if (Array.isArray(value)) return new Map(value.map((part, place) => [String(place), toSetting(part)]));
  return typeof value === 'string' ? value : '';
}

function set(settings: Settings, [name = '', ...rest]: readonly string[], value: Setting): void {
  if (rest.length === 0) {
    settings.set(name, value);
    return;
  }
  const below = settings.get(name);
  // `REGISTRY_AUTH=htpasswd` and `REGISTRY_AUTH_HTPASSWD_PATH=…`
  const map: Settings =
    below instanceof Map ? below : new Map(below === undefined || below === '' ? [] : [[below, '']]);
  settings.set(name, map);
  set(map, rest, value);
}
