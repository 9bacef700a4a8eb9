/** Users of an htpasswd file: name → bcrypt hash. */
export type Users = ReadonlyMap<string, string>;

/** The highest cost that a line may have: such a comparison takes some four seconds. */
export const highestCost = 16;

// Provos and Mazières, "A Future-Adaptable Password Scheme": version, cost, 22 characters of salt, 31 of hash.
const bcryptHash = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** The cost of a bcrypt hash: it takes 2^cost rounds; undefined where the text is no hash that is accepted. */
export function costOf(hash: string): number | undefined {
  const cost = Number(bcryptHash.exec(hash)?.[1]);
  return cost >= 4 && cost <= highestCost ? cost : undefined;
}

/**
 * Reads an htpasswd file: lines of `user:hash`, of which only those with bcrypt are taken; the last of one user counts.
 * `bad` has the numbers of lines that are neither that, nor empty, nor a comment.
 */
export function parseHtpasswd(text: string): { users: Users; bad: readonly number[] } {
  const users = new Map<string, string>();
  const bad: number[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const colon = line.indexOf(':');
    const hash = line.slice(colon + 1).trimEnd();
    if (colon > 0 && costOf(hash) !== undefined) users.set(line.slice(0, colon), hash);
    else bad.push(index + 1);
  }
  return { users, bad };
}

/** The text with a user's line put in place of the old one, at the end, or away with it if there is no hash. */
export function editHtpasswd(text: string, user: string, hash: string | undefined): string {
  const lines = text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1);
  const isTheirs = (line: string): boolean => line.startsWith(`${user}:`);
  const place = lines.findIndex(isTheirs);
  const rest = lines.filter((line) => !isTheirs(line));
  if (hash !== undefined) rest.splice(place < 0 ? rest.length : place, 0, `${user}:${hash}`);
  return rest.map((line) => `${line}\n`).join('');
}
