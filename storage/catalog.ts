import type { Driver } from './driver.ts';
import { manifestsFolder, repositoriesFolder } from './layout.ts';
import { isName, type RepositoryName } from './names.ts';
import { type Page, takePage } from './pages.ts';

/** What is to be looked at next: a name that may be a repository's, or all names that go on from it. */
interface Step {
  readonly name: RepositoryName;
  /** Where it belongs in the order: a name itself, or a name and `/`. */
  readonly order: string;
}

/** A part of the catalog. */
export interface CatalogPage extends Page {
  readonly only?: (name: string) => boolean;
}

/** The repositories that there are. */
export class Catalog {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Names in order; `only`: those that the caller is to learn of. */
  async list({
    after = '',
    limit,
    only = () => true,
  }: CatalogPage): Promise<{ repositories: RepositoryName[]; more: boolean }> {
    const { entries, more } = await takePage(this.#below('', after, only), limit);
    return { repositories: entries, more };
  }

  /** Names that start with `name/`, in order, from `after` on. Only the folders on the way to one are held in memory. */
  async *#below(
    name: string,
    after: string,
    only: (name: string) => boolean,
  ): AsyncGenerator<RepositoryName, void, void> {
    const path = name === '' ? '' : `${name}/`;
    const entries = await this.#driver.list(`${repositoriesFolder}${name === '' ? '' : `/${name}`}`);
    const steps = entries.flatMap((entry): Step[] => {
      const name = path + entry.name;
      // `a-b` sorts after `a`, and before `a/b`.
      return entry.folder && isName(name)
        ? [
            { name, order: name },
            { name, order: `${name}/` },
          ]
        : [];
    });
    for (const { name, order } of steps.sort((one, other) => (one.order < other.order ? -1 : 1))) {
      if (order === name) {
        if (name > after && only(name) && (await this.#isRepository(name))) yield name;
      } else if (order > after || after.startsWith(order)) {
        yield* this.#below(name, after, only);
      }
    }
  }

  async #isRepository(name: RepositoryName): Promise<boolean> {
    return (await this.#driver.list(manifestsFolder(name))).length > 0;
  }
}
