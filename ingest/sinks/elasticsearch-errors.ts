import { errors } from '@elastic/elasticsearch';
import { SinkError, type Outcome } from './sink.ts';

/** What a bulk's answer says of one document. */
export interface BulkItem {
  readonly status: number;
  /** The index in which it is. */
  readonly _index?: string;
  readonly error?: { readonly type?: string; readonly reason?: string | null };
  readonly failure_store?: string;
}

/**
 * The 400s that blame a document, which no retry mends. All others stop the shipper: they may hit every document.
 * `illegal_argument_exception` is both; only these reasons of it blame a document.
 */
const documentTypes: readonly string[] = [
  'document_parsing_exception',
  'mapper_parsing_exception',
  'strict_dynamic_mapping_exception',
  'max_bytes_length_exceeded_exception',
  'parsing_exception',
  'x_content_parse_exception',
  'json_parse_exception',
  'json_e_o_f_exception',
  'input_coercion_exception',
  'stream_constraints_exception',
  'date_time_parse_exception',
];
const documentReasons =
  /immense term|too large, must be <=|Limit of (total|mapping)|\[flattened\]|nested (documents|fields)/i;

/** The outcome of one document. @throws {SinkError} for what hits every document alike */
export function outcomeOf({ status, error, failure_store: store }: BulkItem): Outcome {
  const reason = `${error?.type ?? `status ${status}`}: ${error?.reason ?? 'no reason given'}`;
  if (status >= 200 && status < 300) return { status: store === 'used' ? 'failure_store' : 'indexed' };
  if (status === 409) return { status: 'duplicate' };
  if (status === 429 || status >= 500) return { status: 'retry', reason, overloaded: status === 429 };
  if (status === 403 && error?.type === 'cluster_block_exception') return { status: 'retry', reason };
  if (status === 413 || (status === 400 && blamesDocument(error))) return { status: 'rejected', reason };
  throw new SinkError('refused', `Elasticsearch refuses the documents (${status}): ${reason}. ${advice(status)}`);
}

function blamesDocument(error: BulkItem['error']): boolean {
  const { type = '', reason } = error ?? {};
  return documentTypes.includes(type) || (type === 'illegal_argument_exception' && documentReasons.test(reason ?? ''));
}

/** Whether a request was too large for Elasticsearch or for a proxy before it. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof errors.ResponseError && error.statusCode === 413;
}

/** What the client threw as what the sink throws. */
export function toSinkError(error: unknown): unknown {
  if (error instanceof SinkError) return error;
  if (error instanceof errors.ResponseError) {
    const status = error.statusCode ?? 0;
    const said = describeBody(error);
    if (status === 429 || status === 408 || status >= 500) {
      return new SinkError('unavailable', `Elasticsearch takes nothing now (${status}): ${said}`, { cause: error });
    }
    return new SinkError('refused', `Elasticsearch refuses (${status}): ${said}. ${advice(status)}`, { cause: error });
  }
  if (error instanceof errors.ProductNotSupportedError || error instanceof errors.DeserializationError) {
    const message = 'what answers is not Elasticsearch 9, perhaps a proxy before it: check logs.elasticsearch.nodes';
    return new SinkError('refused', message, { cause: error });
  }
  if (error instanceof errors.ElasticsearchClientError) {
    return new SinkError('unavailable', `Elasticsearch is away: ${error.message}`, { cause: error });
  }
  return error;
}

/** What an administrator may do about a status. */
export function advice(status: number): string {
  switch (status) {
    case 401:
      return 'Check the user and password, or the API key, of logs.elasticsearch.';
    case 403:
      return `The credentials lack rights. An administrator can make a key that has them: ${keyRequest}`;
    case 404:
      return 'Check the address in logs.elasticsearch.nodes, and that nobody removed the index template.';
    case 413:
      return 'Raise http.max_content_length, or the limit of the proxy before Elasticsearch.';
    default:
      return 'Nothing was dropped; the documents are sent again.';
  }
}

const keyRequest =
  'POST /_security/api_key {"name":"shiplog","role_descriptors":{"shiplog":{"cluster":["monitor","manage_index_templates"],' +
  '"indices":[{"names":["logs-*-*"],"privileges":["auto_configure","create_doc","read","view_index_metadata",' +
  '"manage_data_stream_lifecycle"]}]}}}';

/** Elasticsearch's own reason, or the start of what a proxy said. */
function describeBody(error: InstanceType<typeof errors.ResponseError>): string {
  const body: unknown = error.body;
  if (typeof body === 'string') return JSON.stringify(body.slice(0, 200));
  return error.message.slice(0, 500).replace(/\s+/g, ' ') || 'no reason given';
}
