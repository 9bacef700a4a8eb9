import { type Client, errors } from '@elastic/elasticsearch';
import type { Log } from '../log.ts';
import { advice } from './elasticsearch-errors.ts';
import { SinkError } from './sink.ts';
import {
  componentTemplate,
  type IndexMode,
  indexTemplate,
  lifecycle,
  streamName,
  type StreamOptions,
} from './templates.ts';

/**
 * Looks at the version and puts the templates and the retention of a data stream, and says what it did.
 * Credentials that may not put templates are enough where an administrator put them.
 * @throws {SinkError} 'refused' where someone must mend something; else what the client throws
 */
export async function prepareStream(client: Client, options: StreamOptions, log: Log): Promise<void> {
  const stream = streamName(options);
  const { version } = await client.info();
  if (Number.parseInt(version.number, 10) < 9) {
    throw new SinkError('refused', `Elasticsearch ${version.number} is too old: shiplog needs version 9`);
  }
  const index = indexTemplate(options);
  try {
    const { component, mode } = await putTemplates(client, index);
    log.info(
      { version: version.number, stream, mode, templates: [component, index.name] },
      'Elasticsearch is there; its templates are put',
    );
  } catch (error) {
    if (!isStatus(error, 401, 403)) throw error;
    await acceptForeignTemplates(client, stream, index.name);
    log.warn({ stream }, 'the credentials may not put templates; those that are there are used as they are');
  }
  await putRetention(client, options, log);
}

/** LogsDB where this server has it. */
async function putTemplates(
  client: Client,
  index: ReturnType<typeof indexTemplate>,
): Promise<{ readonly component: string; readonly mode: IndexMode }> {
  const put = async (mode: IndexMode): Promise<{ component: string; mode: IndexMode }> => {
    const component = componentTemplate(mode);
    await client.cluster.putComponentTemplate(component);
    await client.indices.putIndexTemplate(index);
    return { component: component.name, mode };
  };
  return put('logsdb').catch((error: unknown) => {
    if (isStatus(error, 400)) return put('standard');
    throw error;
  });
}

/** Whether the stream's mapping is ours although the templates could not be put. */
async function acceptForeignTemplates(client: Client, stream: string, template: string): Promise<void> {
  const mapping = await client.indices
    .getFieldMapping({ index: stream, fields: 'message', ignore_unavailable: true })
    .catch((error: unknown) => {
      if (isStatus(error, 401, 403, 404)) return {};
      throw error;
    });
  if (JSON.stringify(mapping).includes('"analyzer":"shiplog_words"')) return;
  throw new SinkError('refused', `the credentials may not put the index template ${template}. ${advice(403)}`);
}

/** Templates speak of new streams only; this one may be there already. */
async function putRetention(client: Client, options: StreamOptions, log: Log): Promise<void> {
  if (options.retention === undefined) return;
  const name = streamName(options);
  const retention = lifecycle(options);
  try {
    await client.indices.putDataLifecycle({ name, ...retention });
  } catch (error) {
    if (isStatus(error, 404)) return;
    if (!isStatus(error, 400, 401, 403, 405, 410)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(
      { stream: name, retention, reason },
      'Elasticsearch did not take the retention; a new data stream has it by its template, an old one keeps its own',
    );
  }
}

function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof errors.ResponseError && statuses.includes(error.statusCode ?? 0);
}
