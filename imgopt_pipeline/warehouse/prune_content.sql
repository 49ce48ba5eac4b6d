-- Removes the audits in the table `expired`, and content that no audit left names.

DELETE FROM audits WHERE audit_id IN (FROM expired);
DELETE FROM audit_problems WHERE audit_id IN (FROM expired);
DELETE FROM image_inventory WHERE audit_id IN (FROM expired);
DELETE FROM container_inventory WHERE audit_id IN (FROM expired);
DELETE FROM container_mounts WHERE audit_id IN (FROM expired);
DELETE FROM layer_reads WHERE audit_id IN (FROM expired);
DELETE FROM disk_usage WHERE audit_id IN (FROM expired);
DELETE FROM volume_inventory WHERE audit_id IN (FROM expired);
DELETE FROM data_directories WHERE audit_id IN (FROM expired);
DELETE FROM host_gpus WHERE audit_id IN (FROM expired);
DELETE FROM container_gpus WHERE audit_id IN (FROM expired);
DELETE FROM gpu_checks WHERE audit_id IN (FROM expired);
DELETE FROM findings WHERE audit_id IN (FROM expired);
DELETE FROM optimization_plan WHERE audit_id IN (FROM expired);
DELETE FROM host_facts WHERE audit_id IN (FROM expired);

DELETE FROM images WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM image_layers WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM layer_analysis WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM image_layer_bytes WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM wasted_files WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers);
DELETE FROM package_inventory WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM space_usage WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM removable_bytes WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM image_gpu WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM content_remarks WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
DELETE FROM gpu_evidence WHERE image_id NOT IN (SELECT image_id FROM image_inventory);
