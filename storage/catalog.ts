import type { Driver } from './driver.ts';
import { manifestsPart, repositoriesFolder } from './layout.ts';
import { isName } from './names.ts';
import { type Page, takePage } from './pages.ts';

/** What is to be looked at next: a name that may be a repository's, or all names that go on from it. */
interface Step {
  readonly name: string;
  /** Where it belongs in the order: a name itself, or a name and `/`. */
  readonly order: string;
}

/** The repositories that there are. */
export class Catalog {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  async list(page: Page): Promise<{ repositories: string[]; more: boolean }> {
    const { entries, more } = await takePage(this.#below('', page.after ?? ''), page.limit);
    return { repositories: entries, more };
  }

  /** Names that start with `name/`, in order, from `after` on. Only the folders on the way to one are held in memory. */
  async *#below(name: string, after: string): AsyncGenerator<string, void, void> {
    const path = name === '' ? '' : `${name}/`;
    const entries = await this.#driver.list(`${repositoriesFolder}${name === '' ? '' : `/${name}`}`);
    const names = entries.flatMap((entry) => (entry.folder && isName(path + entry.name) ? [path + entry.name] : []));
    // `a-b` sorts after `a`, and before `a/b`.
    const steps: Step[] = names.flatMap((name) => [
      { name, order: name },
      { name, order: `${name}/` },
    ]);
    for (const step of steps.sort((one, other) => (one.order < other.order ? -1 : 1))) {
      if (step.order === step.name) {
        if (step.name > after && (await this.#isRepository(step.name))) yield step.name;
      } else if (step.order > after || after.startsWith(step.order)) {
        yield* this.#below(step.name, after);
      }
    }
  }

  async #isRepository(name: string): Promise<boolean> {
    const entries = await this.#driver.list(`${repositoriesFolder}/${name}`);
    return entries.some((entry) => entry.folder && entry.name === manifestsPart);
  }
}
