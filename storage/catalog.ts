import { BoundedMap } from './bounded-map.ts';
import type { Driver } from './driver.ts';
import { manifestsName, repositoriesFolder } from './layout.ts';
import { isName, type RepositoryName } from './names.ts';
import { firstAfter, type Page, takePage } from './pages.ts';

/** What is to be looked at next: a name that may be a repository's, or all names that go on from it. */
interface Step {
  readonly name: RepositoryName;
  /** Where it belongs in the order: a name itself, or a name and `/`. */
  readonly order: string;
}

/** What a folder below `repositories` has. */
interface Folder {
  readonly isRepository: boolean;
  readonly steps: readonly Step[];
}

/** Folders that are kept in memory, and the steps that one of those has at most. */
const [mostKept, mostSteps] = [20_000, 20_000] as const;

/** A part of the catalog. */
export interface CatalogPage extends Page {
  readonly only?: (name: string) => boolean;
}

/** The repositories that there are. */
export class Catalog {
  readonly #driver: Driver;
  readonly #kept = new BoundedMap<string, Folder & { version: string }>(mostKept);

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Names in order; `only`: those that the caller is to learn of. */
  async list({
    after = '',
    limit,
    only = () => true,
  }: CatalogPage): Promise<{ repositories: RepositoryName[]; more: boolean }> {
    const { steps } = await this.#look(undefined);
    const { entries, more } = await takePage(this.#walk(steps, after, only), limit);
    return { repositories: entries, more };
  }

  /** Names by some steps, in order, from `after` on. */
  async *#walk(
    steps: readonly Step[],
    after: string,
    only: (name: string) => boolean,
  ): AsyncGenerator<RepositoryName, void, void> {
    // A name and what goes on from it are two steps, with `a-b` between `a` and `a/b`.
    const looked = new Map<RepositoryName, Folder>();
    // The one ahead of the first that sorts after it may be the way to what goes on from it.
    const first = firstAfter(steps, after, ({ order }) => order) - 1;
    for (const { name, order } of steps.slice(Math.max(0, first))) {
      if (order === name) {
        if (name <= after || !only(name)) continue;
        const folder = await this.#look(name);
        looked.set(name, folder);
        if (folder.isRepository) yield name;
      } else {
        const known = looked.get(name);
        looked.delete(name);
        if (order <= after && !after.startsWith(order)) continue;
        const folder = known ?? (await this.#look(name));
        yield* this.#walk(folder.steps, after, only);
      }
    }
  }

  /**
   * A folder is read again whenever it has changed, so that a repository which anyone adds or removes counts at once: it is
   * one by a folder in its own, in which something stays once it was there.
   */
  async #look(name: RepositoryName | undefined): Promise<Folder> {
    const path = name === undefined ? repositoriesFolder : `${repositoriesFolder}/${name}`;
    const version = await this.#driver.version?.(path);
    const kept = this.#kept.get(path);
    if (kept !== undefined && kept.version === version) return kept;
    const entries = await this.#driver.list(path);
    const manifests = entries.some((entry) => entry.name === manifestsName) ? `${path}/${manifestsName}` : undefined;
    const isRepository = manifests !== undefined && (await this.#driver.list(manifests)).length > 0;
    const steps = stepsOf(
      name,
      entries.flatMap((entry) => (entry.folder ? [entry.name] : [])),
    );
    const folder = { isRepository, steps };
    const isSettled = manifests === undefined || isRepository;
    if (version !== undefined && isSettled && steps.length <= mostSteps) this.#kept.set(path, { ...folder, version });
    return folder;
  }
}

/** The steps into some folders that lie below a name. */
function stepsOf(above: RepositoryName | undefined, folders: readonly string[]): Step[] {
  const path = above === undefined ? '' : `${above}/`;
  const steps = folders.flatMap((folder): Step[] => {
    const name = path + folder;
    // `a-b` sorts after `a`, and before `a/b`.
    return isName(name)
      ? [
          { name, order: name },
          { name, order: `${name}/` },
        ]
      : [];
  });
  return steps.sort((one, other) => (one.order < other.order ? -1 : 1));
}
