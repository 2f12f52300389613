WITH me AS (SELECT * FROM experiment WHERE name = :experiment),
near (part, component, relation, other) AS (
  SELECT 0, '', 'built on', parent FROM me
  UNION ALL SELECT 0, '', 'built on by', e.name FROM me JOIN experiment e ON e.parent = me.name
  UNION ALL SELECT 0, '', relation, other FROM me JOIN link ON this = me.name
  UNION ALL
  SELECT 0, '', CASE relation WHEN 'reverts' THEN 'reverted by' ELSE 'repeated by' END, this
  FROM me JOIN link ON other = me.name
  UNION ALL SELECT 0, '', 'compared with', compared FROM me
  UNION ALL
  SELECT 1, mine.component, mine.knob || ' tried alone in', e.name
  FROM me
  CROSS JOIN trial mine ON mine.experiment = me.id  -- CROSS: in this order
  CROSS JOIN trial t ON t.knob = mine.knob AND t.campaign = mine.campaign AND t.alone
  JOIN experiment e ON e.id = t.experiment
  WHERE (SELECT COUNT(*) FROM trial WHERE experiment = me.id) > 1
)
SELECT relation, name, seq, status, value, description
FROM near JOIN experiment ON name = other
ORDER BY part, component, relation, seq, name
LIMIT 100
