import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import { startScripted } from './scripted-server.ts';

const reference = z.strictObject({ type: z.string(), id: z.string(), name: z.string() });

/** What a line of an import is ("Import saved objects"; exported objects have these members). */
const savedObject = z.strictObject({
  type: z.enum(['index-pattern', 'search', 'dashboard']),
  id: z.string().min(1),
  attributes: z.looseObject({ title: z.string().min(1) }),
  references: z.array(reference),
  coreMigrationVersion: z.string().regex(/^\d+\.\d+\.\d+$/),
  typeMigrationVersion: z.string().regex(/^\d+\.\d+\.\d+$/),
});

/** A saved object as it was imported. */
export type Imported = z.infer<typeof savedObject>;

/** Bodies by the published API: "Create a data view" and "Set the default data view". */
const bodies = {
  '/api/data_views/data_view': z.strictObject({
    data_view: z.strictObject({
      id: z.string().optional(),
      title: z.string(),
      name: z.string().optional(),
      timeFieldName: z.string().optional(),
    }),
    override: z.boolean().optional(),
  }),
  '/api/data_views/default': z.strictObject({
    data_view_id: z.string().nullable(),
    force: z.boolean().optional(),
  }),
};

/** A Kibana that holds what it was given, and refuses what its published API does not have. */
export interface ScriptedKibana extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
  /** By type and id. */
  readonly objects: ReadonlyMap<string, Imported>;
  readonly dataViews: ReadonlyMap<string, unknown>;
  readonly defaultDataView: string | undefined;
  /** Answered to the next requests instead. */
  refusal: { status: number; body: string } | undefined;
}

/** Starts one below a path, as that of a space. */
export async function startKibana(space = ''): Promise<ScriptedKibana> {
  const requests: ScriptedKibana['requests'] = [];
  const objects = new Map<string, Imported>();
  const dataViews = new Map<string, unknown>();
  let defaultDataView: string | undefined;

  async function answer(request: IncomingMessage): Promise<[status: number, body: unknown]> {
    const url = new URL(request.url ?? '', 'http://kibana');
    const content = await buffer(request);
    requests.push({ path: url.pathname, authorization: request.headers.authorization });
    if (kibana.refusal !== undefined) return [kibana.refusal.status, kibana.refusal.body];
    if (!url.pathname.startsWith(`${space}/api/`)) return [404, problem(404, 'Not Found')];
    if (request.method !== 'POST') return [404, problem(404, 'Not Found')];
    if (request.headers['kbn-xsrf'] === undefined)
      return [400, problem(400, 'Request must contain a kbn-xsrf header.')];
    const path = url.pathname.slice(space.length);
    const type = request.headers['content-type'] ?? '';
    if (path === '/api/saved_objects/_import') return importFile(url, type, content);
    if (url.search !== '' || type !== 'application/json') return [400, problem(400, 'bad request')];
    const body: unknown = JSON.parse(content.toString());
    if (path === '/api/data_views/data_view') {
      const { data_view: dataView, override } = bodies[path].parse(body);
      const id = dataView.id ?? dataView.title;
      if (dataViews.has(id) && override !== true) return [400, problem(400, `Duplicate data view: ${dataView.title}`)];
      dataViews.set(id, dataView);
      return [200, { data_view: dataView }];
    }
    if (path === '/api/data_views/default') {
      const { data_view_id: id, force } = bodies[path].parse(body);
      if (defaultDataView === undefined || force === true) defaultDataView = id ?? undefined;
      return [200, { acknowledged: true }];
    }
    return [404, problem(404, 'Not Found')];
  }

  async function importFile(url: URL, type: string, content: Buffer<ArrayBuffer>): Promise<[number, unknown]> {
    const query = z.strictObject({ overwrite: z.enum(['true', 'false']).optional() });
    query.parse(Object.fromEntries(url.searchParams));
    const form = await new Response(content, { headers: { 'content-type': type } }).formData();
    const file = form.get('file');
    if (!(file instanceof File) || [...form.keys()].length !== 1) return [400, problem(400, 'one file is expected')];
    if (!file.name.endsWith('.ndjson')) return [400, problem(400, `Invalid file extension ${file.name}`)];
    const lines = (await file.text()).split('\n').filter(Boolean);
    const imported = lines.map((line) => savedObject.parse(JSON.parse(line)));
    const known = new Set([...objects.keys(), ...imported.map(({ type, id }) => `${type}:${id}`)]);
    const errors = imported.flatMap(({ type, id, references }) => {
      const missing = references.filter((one) => !known.has(`${one.type}:${one.id}`));
      if (missing.length > 0) return [{ type, id, error: { type: 'missing_references', references: missing } }];
      const isThere = objects.has(`${type}:${id}`) && url.searchParams.get('overwrite') !== 'true';
      return isThere ? [{ type, id, error: { type: 'conflict' } }] : [];
    });
    if (errors.length > 0) return [200, { success: false, successCount: 0, errors }];
    for (const object of imported) objects.set(`${object.type}:${object.id}`, object);
    return [200, { success: true, successCount: imported.length, warnings: [] }];
  }

  const server = await startScripted((request, response) => void respond(answer(request), response));
  const kibana: ScriptedKibana = {
    url: server.url + space,
    requests,
    objects,
    dataViews,
    get defaultDataView() {
      return defaultDataView;
    },
    refusal: undefined,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  return kibana;
}

function problem(statusCode: number, message: string): object {
  return { statusCode, error: 'x', message };
}

async function respond(answering: Promise<[number, unknown]>, response: ServerResponse): Promise<void> {
  const [status, body] = await answering.catch((error: unknown): [number, unknown] => [
    400,
    problem(400, String(error)),
  ]);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
