import { readFile, writeFile } from 'node:fs/promises';
import { page, withReference } from './reference.ts';

await writeFile(page, withReference(await readFile(page, 'utf8')));
